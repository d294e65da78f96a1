"""Response times of ordinary use while a job runs: polls, submissions, lists, waiting clients, downloads."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import httpx
import psycopg

from app.local.stack import connected
from app.settings import Settings
from benchmarks.contestants.contestant_process import Entry
from benchmarks.load.attackers import plot, requests, waiting_clients
from benchmarks.load.busy_service import BusyService, busy_service, submit
from benchmarks.load.hey import polls
from benchmarks.report import Report
from benchmarks.service.stored_jobs import insert_jobs

POLL_RATE, HEALTH_RATE, SLOW_RATE, DOWNLOAD_RATE = 100, 20, 20, 8  # per second
FILES = ("results.csv", "texts.csv", "texts.ndjson", "results.json")
PLOTS = 28
SUBMISSIONS, TEXTS_PER_SUBMISSION = 40, 1_000
LISTED_JOBS, LISTS = 10_000, 100
WAITING = 500


def report_ordinary_load(report: Report, entry: Entry, texts: int, seconds: int) -> None:
    """`texts`: of the job that runs meanwhile. `seconds`: of each kind of polls. Raises: HeyNotInstalled."""
    with busy_service(entry, texts) as busy:
        before = busy.api_memory()
        rows = [
            (
                "polls of a running job, 100 per second",
                polls(busy.path_of_running_job(), POLL_RATE, seconds).summary(),
            ),
            (
                f"the same, during {PLOTS} plots and {DOWNLOAD_RATE * len(FILES)} downloads per second",
                _polls_during_downloads(busy, seconds),
            ),
            (
                f"submissions of {TEXTS_PER_SUBMISSION:,} texts",
                _times(partial(_submit_and_cancel, busy), SUBMISSIONS),
            ),
            (f"lists of {LISTED_JOBS:,} jobs", _lists(busy)),
            *_with_waiting_clients(busy, seconds),
        ]
        memory = (
            f"The memory of the API was {before:.0f} MiB before and {busy.api_memory():.0f} MiB after this."
        )
    report.table(("", "p50, p99, max in ms"), rows)
    report.say(f"{memory} PostgreSQL, Valkey, the worker, the clients and the API share the processor.")


def _polls_during_downloads(busy: BusyService, seconds: int) -> str:
    with requests(PLOTS, plot, busy), ThreadPoolExecutor(len(FILES)) as pool:
        urls = [f"{busy.url}/v1/jobs/{busy.finished}/{name}" for name in FILES]
        downloads = [pool.submit(polls, url, DOWNLOAD_RATE, seconds) for url in urls]
        polled = polls(busy.path_of_running_job(), POLL_RATE, seconds)
    statuses = sum((download.result().statuses for download in downloads), Counter[int]())
    return f"{polled.summary()} (downloads by status: {dict(statuses)})"


def _submit_and_cancel(busy: BusyService) -> float:
    """The seconds of the submission."""
    started = time.perf_counter()
    job_id = submit(busy.url, TEXTS_PER_SUBMISSION)
    seconds = time.perf_counter() - started
    busy.client.post(f"{busy.url}/v1/jobs/{job_id}/cancel").raise_for_status()
    return seconds


def _lists(busy: BusyService) -> str:
    with (
        connected(Settings(home=busy.service.home)) as (settings, _),
        psycopg.connect(str(settings.database_url), autocommit=True) as connection,
    ):
        insert_jobs(connection, LISTED_JOBS, 1)
    with httpx.Client(base_url=busy.url) as client:

        def one() -> float:
            started = time.perf_counter()
            client.get("/v1/jobs").raise_for_status()
            return time.perf_counter() - started

        return _times(one, LISTS)


def _with_waiting_clients(busy: BusyService, seconds: int) -> list[tuple[str, str]]:
    with ExitStack() as stack:
        stack.enter_context(waiting_clients(WAITING, "?wait=60", busy))
        stack.enter_context(waiting_clients(WAITING, "/events", busy))
        time.sleep(5)  # the clients have arrived
        with ThreadPoolExecutor(1) as pool:
            health = pool.submit(polls, f"{busy.url}/health/live", HEALTH_RATE, seconds)
            others = polls(f"{busy.url}/v1/jobs/{busy.finished}", SLOW_RATE, seconds)
    title = f"with {WAITING} waiting clients and {WAITING} event streams"
    return [
        (f"health checks {title}", health.result().summary()),
        (f"polls of another job {title}", others.summary()),
    ]


def _times(action: Callable[[], float], count: int) -> str:
    seconds = sorted(action() for _ in range(count))
    places = (count // 2, -(-95 * count // 100) - 1, count - 1)
    p50, p95, longest = (1000 * seconds[place] for place in places)
    return f"{p50:.1f}, {p95:.1f} (p95), {longest:.1f}"
