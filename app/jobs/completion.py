"""A job whose end is due: its shards are all done, it was cancelled, or there is no point in going on.

Each function takes a Session and never commits. Whoever ends a job computes for minutes what is then
written in a moment; the job's row is locked for that moment alone. What was computed still holds then:
a job whose end is due takes no more commits.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.coordination import AdvisoryLock, now, try_lock_job
from app.db import set_for_transaction
from app.jobs.shards import DUE, WANTED
from app.tables import Job
from layerscope.names import Outcome

FINALIZATION_LIMIT = "600s"  # between two statements of a transaction that computes a job's statistics
ABANDON_LIMIT = "2s"


def problem(code: str, title: str, detail: str, status: int = 500) -> dict[str, Any]:
    return {"type": f"urn:layerscope:problem:{code}", "title": title, "status": status, "detail": detail}


def reason(error: Exception) -> str:
    """An error in one line, without the values that SQLAlchemy adds."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def mark_failed(session: Session, which: ColumnElement[bool], why: dict[str, Any]) -> None:
    """Let jobs fail: no worker goes on with them, and they wait to be closed with what was measured."""
    session.execute(update(Job).where(which, WANTED).values(error=why))


def next_to_finalize(session: Session, model: str) -> Job | None:
    """A job of the model whose end is due, given to nobody else until the caller's transaction ends."""
    set_for_transaction(session, "idle_in_transaction_session_timeout", FINALIZATION_LIMIT)
    return next(_jobs_to_finalize(session, model), None)


def _jobs_to_finalize(session: Session, model: str) -> Iterator[Job]:
    due = select(Job.id).where(Job.model == model, DUE).order_by(Job.id)
    for job_id in session.scalars(due).all():
        if try_lock_job(session, AdvisoryLock.FINALIZATION, job_id):
            yield from session.scalars(select(Job).where(Job.id == job_id, DUE))  # it may be closed by now


def begin(session: Session, job_id: UUID) -> int:
    """Count one more attempt to close a job; how many there are now."""
    counted = update(Job).where(Job.id == job_id).values(finalization_attempts=Job.finalization_attempts + 1)
    return session.scalar(counted.returning(Job.finalization_attempts)) or 0


def abandon(session: Session, job_id: UUID) -> None:
    """Count an attempt that was not carried to its end as if it had not begun.

    Raises: OperationalError where statistics are being written for long, which holds the row.
    """
    set_for_transaction(session, "lock_timeout", ABANDON_LIMIT)
    counted = update(Job).where(Job.id == job_id, Job.finalization_attempts > 0)
    session.execute(counted.values(finalization_attempts=Job.finalization_attempts - 1))


def lock(session: Session, job: Job) -> bool:
    """Take the row of a job that is to be finished; False where it was deleted meanwhile."""
    row = select(Job).where(Job.id == job.id, Job.outcome.is_(None)).with_for_update()
    return session.scalar(row.execution_options(populate_existing=True)) is not None


def finish(session: Session, job: Job) -> None:
    """Write the outcome of a locked job."""
    job.finished_at = now(session)
    if job.cancel_requested_at is not None:
        job.outcome = Outcome.CANCELLED
    else:
        job.outcome = Outcome.FAILED if job.error else Outcome.SUCCEEDED
