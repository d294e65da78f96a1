"""An hour of all kinds of load at once: whether the memory of the API grows.

While a job runs: 100 polls and 20 health checks per second, 500 clients that wait for the job and 500 event
streams, a submission of 1,000 texts every ten seconds, a list of jobs every second, and every 20 seconds
plots and downloads whose files are not in the cache.
"""

import selectors
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx

from benchmarks.load.busy_service import BusyService, busy_service, submit
from benchmarks.load.hey import Responses, polls
from benchmarks.load.long_run import start
from benchmarks.measuring.over_time import medians_over_time

RUNNING_TEXTS, SUBMITTED_TEXTS, CLIENTS = 1_000_000, 1_000, 500
POLL_RATE, HEALTH_RATE = 100, 20  # per second
FILES = ("results.csv", "texts.csv", "comparison.json", "plots/heatmap.png", "plots/mean_std.svg")

Work = Callable[[BusyService], None]


def submit_and_delete(busy: BusyService) -> None:
    job = f"{busy.url}/v1/jobs/{submit(busy.url, SUBMITTED_TEXTS)}"
    busy.client.post(f"{job}/cancel").raise_for_status()
    busy.client.delete(job).raise_for_status()


def list_jobs(busy: BusyService) -> None:
    busy.client.get(f"{busy.url}/v1/jobs").raise_for_status()


def download(busy: BusyService) -> None:
    shutil.rmtree(busy.service.home / "files", ignore_errors=True)
    for name in FILES:
        busy.client.get(f"{busy.url}/v1/jobs/{busy.finished}/{name}").raise_for_status()


TASKS: tuple[tuple[float, Work], ...] = ((10, submit_and_delete), (1, list_jobs), (20, download))  # seconds


def repeat(
    busy: BusyService, seconds: float, work: Work, failures: Counter[str], over: threading.Event
) -> None:
    while not over.wait(seconds):
        try:
            work(busy)
        except httpx.HTTPError as error:
            failures[f"{work.__name__}: {error}"[:150]] += 1


def keep_waiting(busy: BusyService, suffix: str, over: threading.Event) -> int:
    """CLIENTS clients that request again when a response has ended: the number of connections in all."""
    request = f"GET /v1/jobs/{busy.running}{suffix} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    address = urlsplit(busy.url)
    connections = 0
    with selectors.DefaultSelector() as selector:
        while not over.is_set():
            while len(selector.get_map()) < CLIENTS:
                client = socket.create_connection((address.hostname or "", address.port or 0), timeout=60)
                client.sendall(request.encode())
                selector.register(client, selectors.EVENT_READ)
                connections += 1
            for key, _ in selector.select(1):
                client = key.fileobj  # type: ignore[assignment]
                if not _received(client):
                    selector.unregister(client)
                    client.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return connections


def _received(client: socket.socket) -> bytes:
    """Empty at the end of the response, and if the service has reset the connection."""
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


def poll_for_minutes(url: str, rate: int, minutes: int, over: threading.Event) -> Responses:
    """Minute by minute, so that an interruption does not have to wait for the end."""
    found = [polls(url, rate, 60) for _ in range(minutes) if not over.is_set()]
    seconds = sorted(each for responses in found for each in responses.seconds)
    statuses = sum((responses.statuses for responses in found), Counter[int]())
    return Responses(tuple(seconds), statuses, sum(responses.wanted for responses in found))


def note_memory(busy: BusyService, memory: list[float], over: threading.Event) -> None:
    while not over.wait(15):
        memory.append(busy.api_memory())


def run(busy: BusyService, minutes: int) -> None:
    over, failures, memory = threading.Event(), Counter[str](), list[float]()
    with ThreadPoolExecutor(len(TASKS) + 4) as pool:
        clients = [pool.submit(keep_waiting, busy, suffix, over) for suffix in ("?wait=60", "/events")]
        memory_notes = pool.submit(note_memory, busy, memory, over)
        tasks = [pool.submit(repeat, busy, pause, work, failures, over) for pause, work in TASKS]
        health = pool.submit(poll_for_minutes, f"{busy.url}/health/live", HEALTH_RATE, minutes, over)
        try:
            of_job = poll_for_minutes(busy.path_of_running_job(), POLL_RATE, minutes, over)
        finally:
            over.set()
    print(f"memory of the API in MiB: {medians_over_time(memory)}")
    print(f"polls (p50, p99, max in ms): {of_job.summary()}; health checks: {health.result().summary()}")
    print(f"failures of other requests: {dict(failures)}; {busy.texts_done():,} texts were measured")
    print(f"waiting clients and event streams that connected: {[one.result() for one in clients]}")
    for task in (*tasks, memory_notes):
        task.result()


def main() -> None:
    entry, minutes = start("benchmarks.load.hour", __doc__, 60)
    with busy_service(entry, RUNNING_TEXTS) as busy:
        run(busy, minutes)


if __name__ == "__main__":
    main()
