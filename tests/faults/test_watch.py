"""What the matrix asserts is noticed when it is broken: each promise once, by hand."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.house import House
from tests.faults.scale import SCALE
from tests.faults.trial import Reference, same_as
from tests.faults.watch import (
    Watch,
    errors_in,
    faults_of,
    leases,
    open_transactions,
    read_rows,
    setbacks,
    strange_connections,
    unfinished_jobs,
)
from tests.support.processes import wait_for

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


def test_counters_that_do_not_add_up() -> None:
    assert faults_of(STATE) == []
    assert faults_of(changed(done=1))
    assert faults_of(changed(texts=2))
    assert faults_of(STATE | {"status": "succeeded"})


@pytest.mark.parametrize("counter", ["done", "failed", "tokens"])
def test_counters_that_go_back(counter: str) -> None:
    assert setbacks(STATE, STATE) == []
    assert setbacks(STATE, changed(**{counter: 0}))


def test_states_that_go_back() -> None:
    assert setbacks(STATE, STATE | {"status": "queued"})


def test_texts_lost_and_texts_twice() -> None:
    whole = "\n".join([HEADER, ROW.format(0), ROW.format(1)])
    assert (read_rows(whole.encode(), 2).lost, read_rows(whole.encode(), 2).duplicated) == (0, 0)
    assert read_rows(whole.encode(), 3).lost == 1
    assert read_rows(f"{whole}\n{ROW.format(1)}".encode(), 2).duplicated == 1
    failed = "1,cpp,0,false,worker_crash,,,,"
    assert read_rows(f"{whole}\n{failed}".encode(), 2).duplicated == 1


def test_a_byte_that_is_another(house: House, small: Reference) -> None:
    job_id = house.submit(small.texts)
    house.client.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    same_as(house, job_id, small)
    for name in ("results_csv", "texts_csv"):
        other = {**vars(small), name: getattr(small, name) + b" "}
        with pytest.raises(AssertionError):
            same_as(house, job_id, Reference(**other))


@pytest.mark.parametrize(
    ("status", "headers"), [(500, {}), (404, {}), (503, {"Content-Type": "application/problem+json"})]
)
def test_an_answer_that_is_not_documented(house: House, status: int, headers: dict[str, str]) -> None:
    watch = Watch(house, "", outage=True)
    watch._look(httpx.Response(status, headers=headers))
    with pytest.raises(AssertionError):
        watch.finish(0)


def test_a_bound_that_is_missed(house: House) -> None:
    with pytest.raises(AssertionError):
        Watch(house, "").finish(0)


def test_a_server_error_is_counted(house: House) -> None:
    counted = house.client.get("/metrics").text
    assert errors_in(counted)["500"] == 0
    failed = counted.replace('route="/health/ready",status="200"', 'route="/health/ready",status="500"')
    assert errors_in(failed)["500"] > 0


@pytest.fixture
def stranger(house: House) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session that belongs to no process of the house."""
    with psycopg.connect(house.servers.database_url) as connection:
        yield connection


def test_a_connection_and_a_transaction_left_behind(
    house: House, stranger: psycopg.Connection[tuple[object, ...]]
) -> None:
    def waits() -> bool:  # the house's own transactions come and go meanwhile
        return any(row[0] == stranger.info.backend_pid for row in open_transactions(house))

    assert strange_connections(house)
    assert not waits()
    stranger.execute("select 1")
    assert waits()
    stranger.rollback()
    assert not waits()
    stranger.close()
    wait_for(lambda: not strange_connections(house))


def test_a_lease_and_a_job_left_behind(house: House, small: Reference) -> None:
    assert (leases(house), unfinished_jobs(house)) == (0, 0)
    house.injection.slow(SCALE.lease_seconds)
    house.submit(small.texts)
    wait_for(lambda: leases(house))
    assert unfinished_jobs(house) == 1
    house.injection.slow(0)
    wait_for(lambda: leases(house) + unfinished_jobs(house) == 0, 60)
