"""Following a job to its end, by waiting and by events."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import Engine

from tests.support.databases.counting import statements
from tests.support.http.over_http import submit

STATEMENTS_OF_A_LOOK = 4


def test_waiting_ends_when_the_job_is_finished(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    timer = threading.Timer(0.5, lambda: httpx.post(f"{api.base_url}{path}/cancel"))
    started = time.monotonic()
    timer.start()
    answer = api.get(path, params={"wait": 30})
    assert 0.5 <= time.monotonic() - started < 5
    assert answer.json()["status"] == "cancelled"
    assert "Retry-After" not in answer.headers
    timer.join()


def test_waiting_ends_when_the_time_is_over(api: httpx.Client) -> None:
    started = time.monotonic()
    answer = api.get(f"/v1/jobs/{submit(api)['id']}", params={"wait": 0.3})
    assert answer.json()["status"] == "queued"
    assert "Retry-After" in answer.headers
    assert 0.3 <= time.monotonic() - started < 3


@pytest.mark.parametrize("wait", ["-1", "60.1", "nan", "inf", "soon"])
def test_a_bad_wait_is_refused(api: httpx.Client, wait: str) -> None:
    answer = api.get(f"/v1/jobs/{submit(api)['id']}", params={"wait": wait})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["?wait"]


def test_a_hundred_waiting_requests_do_not_block_others(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    limits = httpx.Limits(max_connections=110)
    with (
        httpx.Client(base_url=api.base_url, limits=limits, timeout=60) as waiting,
        ThreadPoolExecutor(100) as pool,
    ):
        waiters = [pool.submit(waiting.get, path, params={"wait": 30}) for _ in range(100)]
        time.sleep(1)
        assert api.get("/v1/jobs").status_code == 200
        assert not any(waiter.done() for waiter in waiters)
        assert api.post(f"{path}/cancel").status_code == 202
        assert {waiter.result().json()["status"] for waiter in waiters} == {"cancelled"}


@pytest.mark.slow
def test_many_waiting_clients_cost_as_much_as_one(api: httpx.Client) -> None:
    """The statements of one look per second, not those of sixty."""
    paths = [f"/v1/jobs/{submit(api)['id']}" for _ in range(3)]
    limits = httpx.Limits(max_connections=70)
    with (
        httpx.Client(base_url=api.base_url, limits=limits, timeout=60) as waiting,
        ThreadPoolExecutor(60) as pool,
    ):
        waiters = [pool.submit(waiting.get, paths[i % 3], params={"wait": 30}) for i in range(60)]
        time.sleep(4)
        with statements(Engine) as executed:
            time.sleep(3)
        for path in paths:
            api.post(f"{path}/cancel")
        assert {waiter.result().json()["status"] for waiter in waiters} == {"cancelled"}
    assert 2 <= len(executed) <= 4 * STATEMENTS_OF_A_LOOK


def test_events_report_progress_and_the_end(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    seen = []
    with api.stream("GET", f"{path}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("event: "):
                seen.append(line.removeprefix("event: "))
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: "))["status"])
            if seen == ["progress", "queued"]:
                httpx.post(f"{api.base_url}{path}/cancel")
    assert seen == ["progress", "queued", "progress", "cancelled", "finished", "cancelled"]


def test_an_event_contains_the_state_as_the_call_returns_it(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    with api.stream("GET", f"{path}/events") as answer:
        data = next(line for line in answer.iter_lines() if line.startswith("data: "))
    assert data.removeprefix("data: ") == api.get(path).text


def test_one_more_waiting_client_reads_almost_nothing(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    with api.stream("GET", f"{path}/events") as first:
        lines = first.iter_lines()  # the stream ends with this iterator
        next(lines)
        time.sleep(3)  # the first looks follow each other quickly
        started = time.monotonic()
        with statements(Engine) as executed:
            for _ in range(20):
                with api.stream("GET", f"{path}/events") as other:
                    next(other.iter_lines())
        looks = 2 + time.monotonic() - started
        assert len(executed) < STATEMENTS_OF_A_LOOK * looks + 20  # of the new clients, one each


def test_events_end_if_the_job_is_deleted_and_are_not_found_if_it_does_not_exist(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    with api.stream("GET", f"{path}/events") as answer:
        httpx.delete(f"{api.base_url}{path}")
        assert answer.read().decode().count("event: ") == 1
    assert api.get(f"{path}/events").status_code == 404
