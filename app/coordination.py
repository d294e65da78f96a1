"""What the processes of one database coordinate by: its clock, and its advisory locks."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

CLOCK = func.clock_timestamp()  # leases and times are the database's, never a worker's


class AdvisoryLock(IntEnum):
    """The first key of every advisory lock; each number is used for one purpose."""

    MIGRATION = 0x6C617965
    SWEEP = 0x53574550
    PURGE = 0x54494459
    FINALIZATION = 0x434C


def now(session: Session) -> datetime:
    """The time by the database's clock."""
    clock: datetime = session.execute(select(CLOCK)).scalar_one()
    return clock


def try_lock(session: Session, lock: AdvisoryLock) -> bool:
    """Take a lock until the transaction ends; False where another transaction holds it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(int(lock)))))


def try_lock_job(session: Session, lock: AdvisoryLock, job_id: UUID) -> bool:
    """The same for one job: jobs are locked independently of each other."""
    key = func.hashtext(cast(job_id, String))
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(int(lock), key))))
