"""The whole service with a finished job and one that runs for the time of the measurements."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

from benchmarks.contestants.contestant_process import Entry
from benchmarks.service.http_jobs import NDJSON, lines
from benchmarks.service.running_service import RunningService, running_service

FILES, OUR_FILES = 1_024, 4_096  # that the service and the clients may open
FINISHED_TEXTS = 20
MIB = 2**20
TIMEOUT_SECONDS = 300
LIMITS = {"LAYERSCOPE_OWNER_REQUESTS_PER_MINUTE": "1000000", "LAYERSCOPE_OWNER_LIVE_JOBS_LIMIT": "1000000"}


@dataclass(frozen=True)
class BusyService:
    """`finished` and `running`: the ids of the two jobs. `client`: for requests of any thread."""

    service: RunningService
    client: httpx.Client
    finished: str
    running: str

    @property
    def url(self) -> str:
        return self.service.url

    def path_of_running_job(self) -> str:
        return f"{self.url}/v1/jobs/{self.running}"

    def texts_done(self) -> int:
        return int(self.client.get(self.path_of_running_job()).json()["progress"]["done"])

    def api_memory(self) -> float:
        """The resident memory of the process that answers requests, in MiB."""
        children = [psutil.Process(child.pid) for child in self.service.process.children()]
        api = next(child for child in children if "api" in child.cmdline())
        return float(api.memory_info().rss / MIB)


@contextmanager
def busy_service(entry: Entry, texts: int) -> Iterator[BusyService]:
    """`texts`: of the job that runs; it must not be finished before the measurements."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))
    try:
        with running_service(entry, LIMITS) as service, httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            resource.setrlimit(resource.RLIMIT_NOFILE, (OUR_FILES, most))
            finished = submit(service.url, FINISHED_TEXTS)
            while client.get(f"{service.url}/v1/jobs/{finished}?wait=30").json()["finished_at"] is None:
                pass
            busy = BusyService(service, client, finished, submit(service.url, texts))
            while busy.texts_done() == 0:
                time.sleep(0.5)
            yield busy
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def submit(url: str, texts: int) -> str:
    """The id of a new job."""
    answer = httpx.post(f"{url}/v1/jobs?model=bench", content=lines(texts), headers=NDJSON, timeout=600)
    return str(answer.raise_for_status().json()["id"])
