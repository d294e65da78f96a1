"""Faults 13 to 16: the API is killed, one key is used in parallel, jobs are cancelled, connections break."""

import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.faults.support.checks import TextRows, foreign_connections
from tests.faults.support.disturbed_job import Reference, assert_same_files, report
from tests.faults.support.scale import SCALE, SEED
from tests.faults.support.service import RunningService, headers_of, random_texts, request_of
from tests.support.programs.processes import wait_for

pytestmark = pytest.mark.slow

MANY_TEXTS = 4_000  # their submission takes long enough to kill the API in the middle of it


def post(service: RunningService, texts: list[tuple[str, str]], key: str) -> httpx.Response:
    with httpx.Client(base_url=service.base_url, timeout=60, trust_env=False) as client:
        return client.post("/v1/jobs", json=request_of(texts), headers=headers_of(key))


def jobs_of_key(service: RunningService, key: str) -> list[tuple[object, ...]]:
    query = (
        "select id, texts, (select count(*) from text where job_id = id) from job where idempotency_key = %s"
    )
    with service.database() as connection:
        return connection.execute(query, (key,)).fetchall()


def test_13_the_api_is_killed_during_a_submission(service: RunningService) -> None:
    draw, count, texts = random.Random(SEED), SCALE.numbers[13], random_texts(MANY_TEXTS)
    begun = time.monotonic()
    undisturbed = post(service, texts, uuid4().hex).json()["id"]
    seconds, committed_before = time.monotonic() - begun, 0
    service.client.delete(f"/v1/jobs/{undisturbed}")
    for _ in range(count):
        key = uuid4().hex
        kill_the_api_during(service, texts, key, draw.uniform(0, seconds))
        left = jobs_of_key(service, key)
        committed_before += len(left)
        assert len(left) <= 1
        answer = post(service, texts, key)
        assert answer.status_code == (200 if left else 202), answer.text
        ((job_id, stated, stored),) = jobs_of_key(service, key)
        assert (str(job_id), stated, stored) == (answer.json()["id"], MANY_TEXTS, MANY_TEXTS)
        assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    said = f"API killed during a submission ({committed_before} jobs were committed before)"
    report(13, said, count, TextRows())


def kill_the_api_during(
    service: RunningService, texts: list[tuple[str, str]], key: str, seconds: float
) -> None:
    def submit() -> None:
        with suppress(httpx.TransportError):
            post(service, texts, key)

    submitting = threading.Thread(target=submit)
    submitting.start()
    time.sleep(seconds)
    killed = service.api.process
    killed.kill()
    killed.wait()
    submitting.join()
    wait_for(lambda: is_ready(service), 60)
    # PostgreSQL has committed or rolled back what the killed process had sent.
    wait_for(lambda: not foreign_connections(service))


def is_ready(service: RunningService) -> bool:
    with suppress(httpx.TransportError):
        return service.client.get("/health/ready", timeout=2).status_code == 200
    return False


def test_14_parallel_requests_with_one_key(service: RunningService, small_reference: Reference) -> None:
    count, key = SCALE.numbers[14], uuid4().hex
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: post(service, small_reference.texts, key), range(count)))
    assert sorted(answer.status_code for answer in answers) == [200] * (count - 1) + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    ((job_id, stated, stored),) = jobs_of_key(service, key)
    assert stated == stored == len(small_reference.texts)
    final_status(service, str(job_id))
    rows = assert_same_files(service, str(job_id), small_reference)
    report(14, "parallel requests with one key", count, rows)


def test_15_cancellation_concurrent_with_the_end_of_the_job(
    service: RunningService, small_reference: Reference
) -> None:
    draw, count, outcomes = random.Random(SEED), SCALE.numbers[15], []
    service.injection.slow_down(0.3)  # so that most cancellations arrive while a shard is measured
    begun = time.monotonic()
    final_status(service, service.submit(small_reference.texts))
    seconds = time.monotonic() - begun
    for _ in range(count):
        job_id = service.submit(small_reference.texts)
        time.sleep(draw.uniform(0, 1.2 * seconds))
        answer = service.client.post(f"/v1/jobs/{job_id}/cancel").status_code
        status, rows = final_status(service, job_id)
        outcomes.append(status)
        assert (answer, status) in {(202, "cancelled"), (409, "succeeded")}
        time.sleep(0.2)
        assert final_status(service, job_id) == (status, rows)
        if status == "succeeded":
            assert_same_files(service, job_id, small_reference)
        assert is_part_of(service.file(job_id, "texts.csv"), small_reference.texts_csv)
    # Over many jobs, both outcomes occur: the cancellation was concurrent with the end.
    assert SCALE.name == "short" or set(outcomes) == {"cancelled", "succeeded"}
    said = f"cancellation concurrent with the end of the job ({outcomes.count('cancelled')} cancelled)"
    report(15, said, count, TextRows())


def final_status(service: RunningService, job_id: str) -> tuple[str, int]:
    """The status of a finished job, and the number of texts that have rows."""
    state = service.client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
    assert state["finished_at"] is not None, state
    with service.database() as connection:
        query = "select count(*) from text_profile where job_id = %s"
        ((rows,),) = connection.execute(query, (job_id,)).fetchall()
    assert rows == state["progress"]["done"] + state["progress"]["failed"]
    return state["status"], int(str(rows))


def is_part_of(texts_csv: bytes, whole: bytes) -> bool:
    """Whether a file has lines of the whole file in the same order, each at most once."""
    lines = texts_csv.splitlines()
    return lines == [line for line in whole.splitlines() if line in set(lines)]


def test_16_downloads_and_event_streams_are_interrupted(
    service: RunningService, reference: Reference
) -> None:
    count = SCALE.numbers[16]
    finished = service.submit(reference.texts)
    final_status(service, finished)
    service.file(finished, "texts.csv")
    with paused_workers(service):
        waiting = service.submit(reference.texts[:1])
        before = open_in_the_api(service)
        for turn in range(count):
            path = f"/v1/jobs/{waiting}/events" if turn % 2 else f"/v1/jobs/{finished}/texts.csv"
            interrupt(service, path)
        wait_for(lambda: open_in_the_api(service) <= before, 30)
        assert service.client.get(f"/v1/jobs/{waiting}").json()["status"] == "queued"
    final_status(service, waiting)
    report(16, "downloads and event streams interrupted", count, TextRows())


@contextmanager
def paused_workers(service: RunningService) -> Iterator[None]:
    """New jobs wait, and the API does not end the streams of their events."""
    workers = [child.process for child in service.workers]
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)


def open_in_the_api(service: RunningService) -> int:
    """The number of files and client connections that the API has open."""
    api, port = psutil.Process(service.api.process.pid), httpx.URL(service.base_url).port
    links = api.net_connections("tcp")
    clients = [link for link in links if link.laddr.port == port and link.status != psutil.CONN_LISTEN]
    return len(clients) + len(api.open_files())


def interrupt(service: RunningService, path: str) -> None:
    """Close the connection after the first bytes of the answer."""
    host, port = service.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert link.recv(200).startswith(b"HTTP/1.1 200")
