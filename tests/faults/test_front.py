"""InputErrors 13 to 16: the API killed in mid-submission, one key many times, cancels, broken connections."""

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

from tests.faults.house import House, headers_of, random_texts, request_of
from tests.faults.scale import SCALE, SEED
from tests.faults.trial import Reference, report, same_as
from tests.faults.watch import Rows, strange_connections
from tests.support.processes import wait_for

BIG = 4_000  # texts: long enough in the making to be killed in the middle


def post(house: House, texts: list[tuple[str, str]], key: str) -> httpx.Response:
    with httpx.Client(base_url=house.base_url, timeout=60, trust_env=False) as client:
        return client.post("/v1/jobs", json=request_of(texts), headers=headers_of(key))


def jobs_of_key(house: House, key: str) -> list[tuple[object, ...]]:
    query = (
        "select id, texts, (select count(*) from text where job_id = id) from job where idempotency_key = %s"
    )
    with house.database() as connection:
        return connection.execute(query, (key,)).fetchall()


def test_13_the_api_is_killed_in_mid_submission(house: House, reference: Reference) -> None:
    draw, count, texts = random.Random(SEED), SCALE.numbers[13], random_texts(BIG)
    begun = time.monotonic()
    undisturbed = post(house, texts, uuid4().hex).json()["id"]
    seconds, there = time.monotonic() - begun, 0
    house.client.delete(f"/v1/jobs/{undisturbed}")
    for _ in range(count):
        key = uuid4().hex
        killed_while_posting(house, texts, key, draw.uniform(0, seconds))
        left = jobs_of_key(house, key)
        there += len(left)
        assert len(left) <= 1
        answer = post(house, texts, key)
        assert answer.status_code == (200 if left else 202), answer.text
        ((job_id, stated, stored),) = jobs_of_key(house, key)
        assert (str(job_id), stated, stored) == (answer.json()["id"], BIG, BIG)
        assert house.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    report(13, f"API killed in mid-submission ({there} were in time)", count, Rows())


def killed_while_posting(house: House, texts: list[tuple[str, str]], key: str, seconds: float) -> None:
    def broken() -> None:
        with suppress(httpx.TransportError):
            post(house, texts, key)

    posting = threading.Thread(target=broken)
    posting.start()
    time.sleep(seconds)
    killed = house.api.process
    killed.kill()
    killed.wait()
    posting.join()
    wait_for(lambda: is_live(house), 60)
    wait_for(lambda: not strange_connections(house))  # what the dead one had sent is committed or given up


def is_live(house: House) -> bool:
    with suppress(httpx.TransportError):
        return house.client.get("/health/ready", timeout=2).status_code == 200
    return False


def test_14_one_key_many_times_at_once(house: House, small: Reference) -> None:
    count, key = SCALE.numbers[14], uuid4().hex
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: post(house, small.texts, key), range(count)))
    assert sorted(answer.status_code for answer in answers) == [200] * (count - 1) + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    ((job_id, stated, stored),) = jobs_of_key(house, key)
    assert stated == stored == len(small.texts)
    ended(house, str(job_id))
    report(14, "parallel requests with one key", count, same_as(house, str(job_id), small))


def test_15_cancel_races_the_finish(house: House, small: Reference) -> None:
    draw, count, outcomes = random.Random(SEED), SCALE.numbers[15], []
    house.injection.slow(0.3)  # so that most cancels come while a shard is measured
    begun = time.monotonic()
    ended(house, house.submit(small.texts))
    seconds = time.monotonic() - begun
    for _ in range(count):
        job_id = house.submit(small.texts)
        time.sleep(draw.uniform(0, 1.2 * seconds))
        asked = house.client.post(f"/v1/jobs/{job_id}/cancel").status_code
        status, rows = ended(house, job_id)
        outcomes.append(status)
        assert (asked, status) in {(202, "cancelled"), (409, "succeeded")}
        time.sleep(0.2)
        assert ended(house, job_id) == (status, rows)
        if status == "succeeded":
            same_as(house, job_id, small)
        assert is_part_of(house.file(job_id, "texts.csv"), small.texts_csv)
    assert SCALE.name == "short" or set(outcomes) == {"cancelled", "succeeded"}  # it was a race
    said = f"cancel racing the finish ({outcomes.count('cancelled')} cancelled)"
    report(15, said, count, Rows())


def ended(house: House, job_id: str) -> tuple[str, int]:
    """A job's terminal state, and how many rows its texts have."""
    state = house.client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
    assert state["finished_at"] is not None, state
    with house.database() as connection:
        query = "select count(*) from text_profile where job_id = %s"
        ((rows,),) = connection.execute(query, (job_id,)).fetchall()
    assert rows == state["progress"]["done"] + state["progress"]["failed"]
    return state["status"], int(str(rows))


def is_part_of(texts_csv: bytes, whole: bytes) -> bool:
    """The same lines in the same order, each at most once, where some may be missing."""
    lines = texts_csv.splitlines()
    return lines == [line for line in whole.splitlines() if line in set(lines)]


def test_16_downloads_and_streams_are_broken_off(house: House, reference: Reference) -> None:
    count = SCALE.numbers[16]
    finished = house.submit(reference.texts)
    ended(house, finished)
    house.file(finished, "texts.csv")
    with nobody_at_work(house):
        waiting = house.submit(reference.texts[:1])
        base = held_open(house)
        for turn in range(count):
            path = f"/v1/jobs/{waiting}/events" if turn % 2 else f"/v1/jobs/{finished}/texts.csv"
            break_off(house, path)
        wait_for(lambda: held_open(house) <= base, 30)
        assert house.client.get(f"/v1/jobs/{waiting}").json()["status"] == "queued"
    ended(house, waiting)
    report(16, "downloads and event streams broken off", count, Rows())


@contextmanager
def nobody_at_work(house: House) -> Iterator[None]:
    """Jobs wait, and the streams of their events have no end of their own."""
    workers = [child.process for child in house.workers]
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)


def held_open(house: House) -> int:
    """How many files and callers the API has."""
    api, port = psutil.Process(house.api.process.pid), httpx.URL(house.base_url).port
    links = api.net_connections("tcp")
    callers = [link for link in links if link.laddr.port == port and link.status != psutil.CONN_LISTEN]
    return len(callers) + len(api.open_files())


def break_off(house: House, path: str) -> None:
    host, port = house.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert link.recv(200).startswith(b"HTTP/1.1 200")
