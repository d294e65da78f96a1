"""The checks of the fault matrix detect a violation of each condition."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.support.checks import (
    counter_errors,
    decreases,
    errors_in,
    foreign_connections,
    leases,
    open_transactions,
    read_text_rows,
    unfinished_jobs,
)
from tests.faults.support.disturbed_job import Reference, assert_same_files
from tests.faults.support.monitor import JobMonitor
from tests.faults.support.scale import SCALE
from tests.faults.support.service import RunningService
from tests.support.programs.processes import wait_for

STATE: dict[str, Any] = {
    "status": "running",
    "finished_at": None,
    "progress": {"texts": 4, "done": 2, "failed": 1, "tokens": 30},
    "domains": {"cpp": {"texts": 3, "done": 2, "failed": 0}, "python": {"texts": 1, "done": 0, "failed": 1}},
}
ROW = "{0},cpp,3,false,,all,block,0,1.0"
HEADER = "ordinal,domain,tokens,truncated,error,scope,component,layer,delta_mean"


def changed(**progress: int) -> dict[str, Any]:
    state = deepcopy(STATE)
    state["progress"] |= progress
    return state


def test_inconsistent_counters() -> None:
    assert counter_errors(STATE) == []
    assert counter_errors(changed(done=1))
    assert counter_errors(changed(texts=2))
    assert counter_errors(STATE | {"status": "succeeded"})


@pytest.mark.parametrize("counter", ["done", "failed", "tokens"])
def test_counters_that_decrease(counter: str) -> None:
    assert decreases(STATE, STATE) == []
    assert decreases(STATE, changed(**{counter: 0}))


def test_a_status_that_goes_back() -> None:
    assert decreases(STATE, STATE | {"status": "queued"})


def test_lost_and_duplicated_texts() -> None:
    whole = "\n".join([HEADER, ROW.format(0), ROW.format(1)])
    assert (read_text_rows(whole.encode(), 2).lost, read_text_rows(whole.encode(), 2).duplicated) == (0, 0)
    assert read_text_rows(whole.encode(), 3).lost == 1
    assert read_text_rows(f"{whole}\n{ROW.format(1)}".encode(), 2).duplicated == 1
    failed = "1,cpp,0,false,worker_crash,,,,"
    assert read_text_rows(f"{whole}\n{failed}".encode(), 2).duplicated == 1


@pytest.mark.slow
def test_a_byte_that_differs(service: RunningService, small_reference: Reference) -> None:
    job_id = service.submit(small_reference.texts)
    service.client.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    assert_same_files(service, job_id, small_reference)
    for name in ("results_csv", "texts_csv"):
        other = {**vars(small_reference), name: getattr(small_reference, name) + b" "}
        with pytest.raises(AssertionError):
            assert_same_files(service, job_id, Reference(**other))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (404, {}), (503, {"Content-Type": "application/problem+json"})]
)
def test_an_undocumented_answer(service: RunningService, status: int, headers: dict[str, str]) -> None:
    monitor = JobMonitor(service, "", allows_503=True)
    monitor.check(httpx.Response(status, headers=headers))
    with pytest.raises(AssertionError):
        monitor.wait_for_end(0)


@pytest.mark.slow
def test_an_exceeded_bound(service: RunningService) -> None:
    with pytest.raises(AssertionError):
        JobMonitor(service, "").wait_for_end(0)


@pytest.mark.slow
def test_server_errors_are_counted(service: RunningService) -> None:
    counted = service.client.get("/metrics").text
    assert errors_in(counted)["500"] == 0
    failed = counted.replace('route="/health/ready",status="200"', 'route="/health/ready",status="500"')
    assert errors_in(failed)["500"] > 0


@pytest.fixture
def foreign_connection(service: RunningService) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to PostgreSQL that belongs to no process of the service."""
    with psycopg.connect(service.servers.database_url) as connection:
        yield connection


@pytest.mark.slow
def test_a_connection_and_a_transaction_left_behind(
    service: RunningService, foreign_connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    def has_open_transaction() -> bool:  # the service has transactions of its own meanwhile
        pid = foreign_connection.info.backend_pid
        return any(row[0] == pid for row in open_transactions(service))

    assert foreign_connections(service)
    assert not has_open_transaction()
    foreign_connection.execute("select 1")
    assert has_open_transaction()
    foreign_connection.rollback()
    assert not has_open_transaction()
    foreign_connection.close()
    wait_for(lambda: not foreign_connections(service))


@pytest.mark.slow
def test_a_lease_and_a_job_left_behind(service: RunningService, small_reference: Reference) -> None:
    assert (leases(service), unfinished_jobs(service)) == (0, 0)
    service.injection.slow_down(SCALE.lease_seconds)
    service.submit(small_reference.texts)
    wait_for(lambda: leases(service))
    assert unfinished_jobs(service) == 1
    service.injection.slow_down(0)
    wait_for(lambda: leases(service) + unfinished_jobs(service) == 0, 60)
