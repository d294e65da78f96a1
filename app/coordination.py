"""Coordination between processes: the clock and the advisory locks of their database."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

CLOCK = func.clock_timestamp()  # all leases and times use the clock of the database, not that of a worker


class AdvisoryLock(IntEnum):
    """The first key of every advisory lock; each number is used for one purpose."""

    MIGRATION = 0x6C617965
    SWEEP = 0x53574550
    PURGE = 0x54494459
    FINALIZATION = 0x434C
    OWNER = 0x4F574E52


def now(session: Session) -> datetime:
    """The time of the database."""
    clock: datetime = session.execute(select(CLOCK)).scalar_one()
    return clock


def try_lock(session: Session, lock: AdvisoryLock) -> bool:
    """Take a lock until the transaction ends; False if another transaction holds it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(int(lock)))))


def lock_name(session: Session, lock: AdvisoryLock, name: str) -> None:
    """Wait for a lock and take it until the transaction ends. Locks of different names are independent."""
    session.execute(select(func.pg_advisory_xact_lock(int(lock), func.hashtext(name))))


def try_lock_job(session: Session, lock: AdvisoryLock, job_id: UUID) -> bool:
    """The same for a single job. Locks of different jobs are independent."""
    key = func.hashtext(cast(job_id, String))
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(int(lock), key))))
