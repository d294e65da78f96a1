"""A simulated fleet: many workers that sleep instead of computing, with the real claims and commits.

`python -m benchmarks.fleet` prints how many shards the database hands out per second, whether owners get
equal shares, how long a small job waits next to huge ones, and what the processor time is spent on. The
workers are threads of a few processes; PostgreSQL runs on the same machine.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import UUID

import psutil
import psycopg
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions, migrate
from app.jobs import shards
from app.jobs.shards import Claim, TextResult
from app.local.servers import Servers, running_servers
from benchmarks.measuring import hardware
from benchmarks.measuring.processor_time import processor_seconds
from benchmarks.measuring.timing import spread
from benchmarks.service.stored_jobs import MEASURED_WITH, MODEL, insert_jobs, stored_values

LEASE_SECONDS = 60.0
LAYERS = 28
TEXTS_PER_SHARD = 8
HUGE_SHARDS = 4_000  # of one job of the first owner
SMALL_JOBS = 6  # submitted while the fleet works, one after the other
MAX_CONNECTIONS = 400
POLL_SECONDS = 1.0  # of a worker without a shard


Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Options:
    workers: int
    processes: int
    jobs: int
    owners: int
    shards: int
    sleep: float
    seconds: float


@dataclass(frozen=True)
class Cycle:
    """One shard of one worker; the seconds that its claim and its commit took."""

    job_id: UUID
    at: float
    claim: float
    commit: float


def main() -> None:
    options = _options()
    print(f"{hardware.processor()}; commit {hardware.commit()}; {hardware.load()}\n{options}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        with _database(Path(folder)) as (servers, connection):  # the setting needs a restart
            connection.execute(f"alter system set max_connections = {MAX_CONNECTIONS}")
        with _database(Path(folder)) as (servers, connection):
            migrate(servers.database_url)
            _insert(connection, options)
            _simulate(servers, connection, options)


@contextmanager
def _database(home: Path) -> Iterator[tuple[Servers, Connection]]:
    with (
        running_servers(home) as servers,
        psycopg.connect(servers.database_url, autocommit=True) as connection,
    ):
        yield servers, connection


def _insert(connection: Connection, options: Options) -> None:
    """The jobs of all owners, and one huge job of the first owner. Nothing of them is measured."""
    for owner in range(options.owners):
        _submit(connection, f"owner-{owner:02}", options.jobs // options.owners, options.shards)
    _submit(connection, "owner-00", 1, HUGE_SHARDS)


def _submit(connection: Connection, owner: str, jobs: int, shards_per_job: int) -> list[UUID]:
    texts = shards_per_job * TEXTS_PER_SHARD
    ids = insert_jobs(connection, jobs, texts, shard_texts=TEXTS_PER_SHARD, finished=False, done=0)
    unstarted = "update job set owner = %s, started_at = null, measured_with = null where id = any(%s)"
    connection.execute(unstarted, (owner, ids))
    return ids


def _simulate(servers: Servers, connection: Connection, options: Options) -> None:
    context = multiprocessing.get_context("spawn")
    cycles: Any = context.Queue()
    stopping = context.Event()
    fleet = [
        context.Process(target=_work, args=(servers.database_url, options, cycles, stopping))
        for _ in range(options.processes)
    ]
    for process in fleet:
        process.start()
    try:
        _wait_for_claims(connection)
        groups: dict[str, list[int | None]] = {
            "PostgreSQL": [servers.children[0].process.pid],
            "workers": [one.pid for one in fleet],
        }
        used = _processor_seconds(groups)
        started = time.monotonic()
        small = list(_small_jobs(connection, options, started))
        time.sleep(max(0.0, started + options.seconds - time.monotonic()))
        used = {name: seconds - used[name] for name, seconds in _processor_seconds(groups).items()}
        found = list(_until(cycles, started, time.monotonic()))
    finally:
        stopping.set()
        for process in fleet:
            process.kill()
            process.join()
    _report(connection, options, found, small, used)


def _work(database_url: str, options: Options, cycles: Any, stopping: Any) -> None:
    """The workers of one process, each with a connection of its own."""
    count = options.workers // options.processes
    sessions = make_sessions(make_engine(database_url, pool_size=count))
    workers = [
        threading.Thread(target=_worker, args=(sessions, options, cycles, stopping)) for _ in range(count)
    ]
    for worker in workers:
        worker.start()


def _worker(sessions: sessionmaker[Session], options: Options, cycles: Any, stopping: Any) -> None:
    values = stored_values(LAYERS)
    while not stopping.is_set():
        started = time.monotonic()
        with sessions.begin() as session:
            claim = shards.claim(session, MODEL, LEASE_SECONDS, MEASURED_WITH)
        claimed = time.monotonic()
        if claim is None:
            time.sleep(POLL_SECONDS)
            continue
        with sessions.begin() as session:
            shards.texts(session, claim)
        time.sleep(options.sleep)
        committing = time.monotonic()
        with sessions.begin() as session:
            shards.commit(session, claim, [_result(ordinal, values) for ordinal in _ordinals(claim)])
        ended = time.monotonic()
        cycles.put(Cycle(claim.job_id, ended, claimed - started, ended - committing))


def _ordinals(claim: Claim) -> range:
    return range(claim.first_ordinal, claim.end_ordinal)


def _result(ordinal: int, values: bytes) -> TextResult:
    return TextResult(ordinal, "cpp", 50, False, None, values)


def _wait_for_claims(connection: Connection) -> None:
    """Until all workers have had time for their first shards."""
    query = "select count(*) from shard where done_at is not null"
    while connection.execute(query).fetchone() == (0,):
        time.sleep(0.2)
    time.sleep(5)


def _small_jobs(connection: Connection, options: Options, started: float) -> Iterator[tuple[str, float]]:
    """Whose job with one shard it is, and the seconds from its submission to its result."""
    for number in range(SMALL_JOBS):
        owner = "owner-00" if number % 2 else "visitor"
        (job_id,) = _submit(connection, owner, 1, 1)
        submitted = time.monotonic()
        query = "select count(*) from shard where job_id = %s and done_at is null"
        while connection.execute(query, (job_id,)).fetchone() != (0,):
            if time.monotonic() > started + 10 * options.seconds:
                raise TimeoutError(f"a small job has waited for {10 * options.seconds:.0f} s")
            time.sleep(0.05)
        yield owner, time.monotonic() - submitted


def _until(cycles: Any, begin: float, end: float) -> Iterator[Cycle]:
    with suppress(Empty):
        while True:
            cycle = cycles.get(timeout=1)
            if begin <= cycle.at <= end:
                yield cycle


def _processor_seconds(groups: Mapping[str, Sequence[int | None]]) -> dict[str, float]:
    """Of the processes of each group, with the wall clock."""
    found = {"wall": time.monotonic()}
    for name, pids in groups.items():
        found[name] = sum(processor_seconds(psutil.Process(pid)) for pid in pids)
    return found


def _report(
    connection: Connection,
    options: Options,
    cycles: Sequence[Cycle],
    small: Sequence[tuple[str, float]],
    used: dict[str, float],
) -> None:
    owners = dict(connection.execute("select id, owner from job").fetchall())
    of_owner = Counter(owners[cycle.job_id] for cycle in cycles)
    shares = [of_owner[f"owner-{number:02}"] for number in range(options.owners)]
    seconds = used.pop("wall")
    print(f"{len(cycles) / seconds:.1f} shards per second of at most {options.workers / options.sleep:.0f}")
    for step in ("claim", "commit"):
        times = sorted(1000 * getattr(cycle, step) for cycle in cycles)
        print(f"{step}: {spread(times):.0f} ms, p99 {times[len(times) * 99 // 100]:.0f} ms")
    least, most = min(shares), max(shares)
    print(f"Jain's index over {options.owners} owners: {_jain(shares):.3f} ({least} to {most} shards)")
    for owner in ("visitor", "owner-00"):
        waits = [wait for whose, wait in small if whose == owner]
        print(f"a job of one shard of {owner}: done after {spread(waits):.1f} s, at most {max(waits):.1f} s")
    for name, value in used.items():
        processors, per_shard = value / seconds, 1000 * value / len(cycles)
        print(f"{name}: {processors:.2f} processors of {os.cpu_count()}, {per_shard:.1f} ms per shard")


def _jain(shares: Sequence[int]) -> float:
    """The index of Jain, Chiu and Hawe (1984): 1 if all shares are equal, 1/n if one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4, help="that share the workers")
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--owners", type=int, default=20)
    parser.add_argument("--shards", type=int, default=10, help="of each job")
    parser.add_argument("--sleep", type=float, default=2.0, help="seconds for a shard")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the measurement")
    return Options(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
