"""Reports once a second how far the shard of a claim is: what users see before anything is committed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redis import Redis, RedisError

from app.jobs import reports
from app.jobs.reports import REPORT_SECONDS, Report
from app.jobs.shards import Claim
from app.logs import in_context


@contextmanager
def reporting(redis: Redis, claim: Claim, report: Callable[[], Report]) -> Iterator[None]:
    """While entered, a thread writes what `report` returns."""
    lease = reports.LeaseId(claim.job_id, claim.number, claim.epoch)
    with _repeated("report", lambda: reports.write(redis, lease, report())):
        yield


@contextmanager
def loading(redis: Redis, model: str) -> Iterator[None]:
    """While entered, the service knows that a worker is loading the model."""
    with _repeated("loading", lambda: reports.write_loading(redis, model)):
        yield


@contextmanager
def _repeated(name: str, write: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def run() -> None:
        while True:
            with suppress(RedisError):  # only information is missing
                write()
            if ended.wait(REPORT_SECONDS):
                return

    threading.Thread(target=in_context(run), name=name, daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # Nothing waits for the thread: Redis may be slow, and a late report has no effect.
