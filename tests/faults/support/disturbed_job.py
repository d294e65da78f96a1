"""A job during which faults are injected, and its comparison with the same job without faults."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import create_engine, func, make_url, select
from sqlalchemy.orm import Session

from app.tables import Shard
from tests.faults.support.checks import TextRows, read_text_rows
from tests.faults.support.injection import Event
from tests.faults.support.monitor import JobMonitor
from tests.faults.support.report import write_line
from tests.faults.support.scale import SCALE, TEXTS_PER_SHARD, WORKERS
from tests.faults.support.service import RunningService
from tests.support.programs.processes import wait_for


@dataclass(frozen=True)
class Reference:
    """The results of a job without faults."""

    texts: list[tuple[str, str]]
    results_csv: bytes
    texts_csv: bytes
    seconds: float


class DisturbedJob:
    def __init__(self, service: RunningService, job_id: str) -> None:
        self.service, self.job_id = service, job_id
        self.rows = TextRows()  # known when the job has ended

    def most_attempts(self) -> int:
        url = make_url(self.service.servers.database_url).set(drivername="postgresql+psycopg")
        engine = create_engine(url)
        with Session(engine) as session:
            most = session.scalar(select(func.max(Shard.attempt)).where(Shard.job_id == UUID(self.job_id)))
        engine.dispose()
        return int(most or 0)


@contextmanager
def disturbed_job(
    service: RunningService,
    reference: Reference,
    *,
    slow: float = 0,
    disturbances: int = 0,
    allows_503: bool = False,
) -> Iterator[DisturbedJob]:
    """Submit the job of the reference, inject faults in the block, and compare the results at the end.

    The job must end within a bound: three times its duration without faults and with the delay `slow` of each
    shard, plus the longest recovery for each disturbance.
    """
    service.injection.slow_down(slow)
    service.allows_503 = allows_503
    job_id = service.submit(reference.texts)
    delayed = slow * len(reference.texts) / TEXTS_PER_SHARD / WORKERS
    bound = 3 * (reference.seconds + delayed) + (1 + disturbances) * SCALE.recovery_seconds
    with JobMonitor(service, job_id, allows_503=allows_503) as monitor:
        job = DisturbedJob(service, job_id)
        yield job
        service.injection.slow_down(0)
        monitor.wait_for_end(bound)
    job.rows = assert_same_files(service, job_id, reference)


def assert_same_files(service: RunningService, job_id: str, reference: Reference) -> TextRows:
    """Every text has one result, and every byte is the same as in the reference."""
    texts_csv = service.file(job_id, "texts.csv")
    rows = read_text_rows(texts_csv, len(reference.texts))
    assert (rows.lost, rows.duplicated, rows.errors) == (0, 0, {})
    assert texts_csv == reference.texts_csv
    assert service.file(job_id, "results.csv") == reference.results_csv
    return rows


def recoveries_of(service: RunningService, deaths: Sequence[Event]) -> list[float]:
    """The recovery times in seconds, all within the bound.

    If a worker died after the commit of its shard, there is nothing to recover.
    """
    found = [service.recovery(died) for died in deaths]
    seconds = [recovery for recovery in found if recovery is not None]
    assert all(each <= SCALE.recovery_seconds for each in seconds), seconds
    return seconds


def report(
    number: float, fault: str, injected: int, rows: TextRows, recoveries: Sequence[float] = ()
) -> None:
    """Print the result of a fault, and write it to the table if this is the whole matrix."""
    print(
        f"fault {number:g}, {fault}: {injected} injected,"
        f" {rows.lost} lost, {rows.duplicated} duplicated, {recoveries}"
    )
    if SCALE.name == "whole":
        bound = SCALE.recovery_seconds if recoveries else None
        write_line(
            number,
            fault,
            injected,
            lost=rows.lost,
            duplicated=rows.duplicated,
            recoveries=recoveries,
            bound=bound,
        )


def seconds_to_commit(service: RunningService, at: float, seconds: float) -> float:
    """Seconds from `at` to the first commit of a shard after it."""
    wait_for(lambda: service.injection.events("committed", since=at), seconds)
    return service.injection.events("committed", since=at)[0].at - at
