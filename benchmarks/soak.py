"""The whole service for hours, while one of its processes is killed every minute.

`python -m benchmarks.soak --minutes 120` prints whether the memory grew and whether anything was lost. All
jobs have the same texts, so their files must be equal byte for byte. One of the two workers is never killed.
"""

import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import httpx
import psutil

from benchmarks.load.busy_service import LIMITS, MIB
from benchmarks.load.long_run import start
from benchmarks.measuring.over_time import medians_over_time
from benchmarks.service.http_jobs import NDJSON, lines
from benchmarks.service.running_service import RunningService, running_service

TEXTS, WORKERS = 100, 2
FILES = ("results.csv", "texts.csv")
PLOTS = ("plots/heatmap.png", "plots/relative.svg")
PROCESSES = {"API": "app.cli api", "worker": "-m worker", "PostgreSQL": "postgres", "Valkey": "valkey-server"}
KILLED = ("worker", "worker", "worker", "Valkey")  # in turn
JOB_SECONDS, KILL_SECONDS, POLL_SECONDS, MEMORY_SECONDS = 20, 60, 0.5, 15  # from one to the next
WAITING, STREAMS = 10, 10  # clients

Work = Callable[["Soak", httpx.Client], None]


@dataclass
class Soak:
    """What happened so far. `files`: the hashes of the files; `memory`: MiB of processes that survive."""

    service: RunningService
    submitted: int = 0
    latest_job: str | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    files: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in FILES})
    memory: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    is_over: threading.Event = field(default_factory=threading.Event)

    def repeat(self, seconds: float, work: Work) -> None:
        with httpx.Client(base_url=self.service.url, timeout=120) as client:
            while not self.is_over.wait(seconds):
                try:
                    work(self, client)
                except (httpx.HTTPError, psutil.NoSuchProcess) as error:
                    self.responses[f"{work.__name__}: {type(error).__name__}: {error}"[:100]] += 1

    def processes(self, name: str) -> list[psutil.Process]:
        """The processes of this kind, the oldest one first."""
        children = self.service.process.children()
        found = [child for child in children if PROCESSES[name] in " ".join(child.cmdline())]
        return sorted(found, key=lambda child: child.create_time())


def measure_job(soak: Soak, client: httpx.Client) -> None:
    answer = client.post("/v1/jobs?model=bench", content=lines(TEXTS), headers=NDJSON)
    job = soak.latest_job = f"/v1/jobs/{answer.raise_for_status().json()['id']}"
    soak.submitted += 1
    state = answer.json()
    while state["finished_at"] is None:
        state = client.get(f"{job}?wait=30").raise_for_status().json()
    soak.outcomes[f"{state['status']}, {state['progress']['failed']} failed texts"] += 1
    for name in FILES:
        content = client.get(f"{job}/{name}").raise_for_status().content
        soak.files[name].add(hashlib.sha256(content).hexdigest())
    for name in PLOTS:
        client.get(f"{job}/{name}").raise_for_status()
    soak.latest_job = None
    client.delete(job).raise_for_status()


def poll(soak: Soak, client: httpx.Client) -> None:
    if (job := soak.latest_job) is not None:
        soak.responses[f"poll: {client.get(job).status_code}"] += 1


def wait_for_job(soak: Soak, client: httpx.Client) -> None:
    if (job := soak.latest_job) is not None:
        client.get(f"{job}?wait=60")


def receive_events(soak: Soak, client: httpx.Client) -> None:
    if (job := soak.latest_job) is not None:
        with client.stream("GET", f"{job}/events") as response:
            for _ in response.iter_raw():
                pass


def kill_process(soak: Soak, client: httpx.Client) -> None:
    name = KILLED[soak.kills.total() % len(KILLED)]
    *survivors, latest = soak.processes(name)
    if survivors or name != "worker":  # otherwise the other worker has not been started again yet
        latest.kill()
        soak.kills[name] += 1


def note_memory(soak: Soak, client: httpx.Client) -> None:
    for name in ("API", "worker", "PostgreSQL"):
        for process in soak.processes(name)[:1]:
            soak.memory[name].append(process.memory_info().rss / MIB)
    soak.memory["layerscope up"].append(soak.service.process.memory_info().rss / MIB)


TASKS: tuple[tuple[float, Work, int], ...] = (
    (JOB_SECONDS, measure_job, 1),
    (POLL_SECONDS, poll, 1),
    (1, wait_for_job, WAITING),
    (1, receive_events, STREAMS),
    (KILL_SECONDS, kill_process, 1),
    (MEMORY_SECONDS, note_memory, 1),
)


def run(service: RunningService, minutes: int) -> Soak:
    soak = Soak(service)
    with ThreadPoolExecutor(sum(clients for *_, clients in TASKS)) as pool:
        tasks = [
            pool.submit(soak.repeat, seconds, work)
            for seconds, work, clients in TASKS
            for _ in range(clients)
        ]
        wait(tasks, 60 * minutes, FIRST_EXCEPTION)
        soak.is_over.set()
    for task in tasks:
        task.result()
    return soak


def print_results(soak: Soak) -> None:
    print(f"{soak.submitted} jobs submitted; {dict(soak.outcomes)}")
    print(f"killed: {dict(soak.kills)}; responses: {dict(soak.responses)}")
    print("versions of each file:", {name: len(hashes) for name, hashes in soak.files.items()})
    for name, values in soak.memory.items():
        print(f"memory of {name} in MiB: {medians_over_time(values)}")


def main() -> None:
    entry, minutes = start("benchmarks.soak", __doc__, 120)
    with running_service(entry, LIMITS, WORKERS) as service:
        print_results(run(service, minutes))


if __name__ == "__main__":
    main()
