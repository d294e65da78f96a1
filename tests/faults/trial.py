"""A job under a fault: submitted, watched, and compared with the undisturbed run when it is done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import create_engine, func, make_url, select
from sqlalchemy.orm import Session

from app.tables import Shard
from tests.faults.house import House
from tests.faults.injection import Event
from tests.faults.report import write_line
from tests.faults.scale import SCALE, TEXTS_PER_SHARD, WORKERS
from tests.faults.watch import Rows, Watch, read_rows
from tests.support.processes import wait_for


@dataclass(frozen=True)
class Reference:
    texts: list[tuple[str, str]]
    results_csv: bytes
    texts_csv: bytes
    seconds: float


class Trial:
    def __init__(self, house: House, job_id: str, watch: Watch) -> None:
        self.house, self.job_id, self.watch = house, job_id, watch
        self.rows = Rows()

    def most_attempts(self) -> int:
        url = make_url(self.house.servers.database_url).set(drivername="postgresql+psycopg")
        engine = create_engine(url)
        with Session(engine) as session:
            most = session.scalar(select(func.max(Shard.attempt)).where(Shard.job_id == UUID(self.job_id)))
        engine.dispose()
        return int(most or 0)


@contextmanager
def trial(
    house: House, reference: Reference, *, slow: float = 0, disturbances: int = 0, outage: bool = False
) -> Iterator[Trial]:
    """The reference's job, disturbed inside the block; afterwards everything must be as in the reference.

    Its bound: thrice what it takes undisturbed and slowed, and a recovery for each disturbance.
    """
    house.injection.slow(slow)
    house.outage = outage
    job_id = house.submit(reference.texts)
    slowed = slow * len(reference.texts) / TEXTS_PER_SHARD / WORKERS
    bound = 3 * (reference.seconds + slowed) + (1 + disturbances) * SCALE.recovery_seconds
    with Watch(house, job_id, outage=outage) as watch:
        running = Trial(house, job_id, watch)
        yield running
        house.injection.slow(0)
        watch.finish(bound)
    running.rows = same_as(house, job_id, reference)


def same_as(house: House, job_id: str, reference: Reference) -> Rows:
    """Every text has one result, and every byte is the reference's."""
    texts_csv = house.file(job_id, "texts.csv")
    rows = read_rows(texts_csv, len(reference.texts))
    assert (rows.lost, rows.duplicated, rows.errors) == (0, 0, {})
    assert texts_csv == reference.texts_csv
    assert house.file(job_id, "results.csv") == reference.results_csv
    return rows


def recoveries_of(house: House, deaths: Sequence[Event]) -> list[float]:
    """Seconds each: all within the bound. A shard that was committed as its worker died needs none."""
    found = [house.recovery(died) for died in deaths]
    seconds = [recovery for recovery in found if recovery is not None]
    assert all(each <= SCALE.recovery_seconds for each in seconds), seconds
    return seconds


def report(number: float, fault: str, injected: int, rows: Rows, recoveries: Sequence[float] = ()) -> None:
    """A line of the table, if these are its numbers."""
    said = f"fault {number:g}, {fault}: {injected} ×, {rows.lost} lost, {rows.duplicated} twice, {recoveries}"
    print(said)
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


def progress_after(house: House, at: float, seconds: float) -> float:
    """Seconds from a moment to the first shard that is committed after it."""
    wait_for(lambda: house.injection.events("committed", since=at), seconds)
    return house.injection.events("committed", since=at)[0].at - at
