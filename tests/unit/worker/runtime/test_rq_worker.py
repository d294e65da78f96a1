"""A worker whose Redis is unavailable waits for it, and keeps its model: the process does not end."""

import threading
import time

import pytest

from app.jobs.notifications import connect, queue_of
from worker.runtime.rq_worker import PAUSE_SECONDS, run_worker

UNREACHABLE = "redis://127.0.0.1:1"


def test_a_worker_waits_for_redis_until_the_stop_event(caplog: pytest.LogCaptureFixture) -> None:
    stopping = threading.Event()
    stop = threading.Timer(2.5 * PAUSE_SECONDS, stopping.set)
    begun = time.monotonic()
    stop.start()
    run_worker(queue_of(connect(UNREACHABLE), "tiny"), stopping)
    stop.join()
    assert time.monotonic() - begun >= 2.5 * PAUSE_SECONDS
    assert caplog.text.count("Redis is unavailable") >= 2
