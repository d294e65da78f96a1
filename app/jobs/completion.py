"""The end of a job: all its shards are done, or it was cancelled, or it cannot succeed any more.

Each function takes a Session and never commits. A worker needs minutes to compute the statistics of a job
and seconds to write them. It locks the row of the job only while it writes. The statistics are still valid
then, because no shard of such a job can be committed any more.
"""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.coordination import AdvisoryLock, now, try_lock_job
from app.db import set_for_transaction
from app.errors import JobFailure
from app.jobs.shards import DUE, WANTED
from app.tables import Job
from layerscope.names import Outcome

FINALIZATION_LIMIT = "600s"  # between two statements of a transaction that computes a job's statistics
ABANDON_LIMIT = "2s"


def reason(error: Exception) -> str:
    """An error in one line. SQLAlchemy adds the values of the statement in further lines."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def mark_failed(session: Session, which: ColumnElement[bool], failure: JobFailure) -> None:
    """Mark unfinished jobs as failed. Workers finalize them with the results that are committed."""
    session.execute(update(Job).where(which, WANTED).values(error=failure.problem.to_dict()))


def next_to_finalize(session: Session, model: str) -> Job | None:
    """A job of the model that can be finalized. No other worker gets it until this transaction ends."""
    set_for_transaction(session, "idle_in_transaction_session_timeout", FINALIZATION_LIMIT)
    return next(_jobs_to_finalize(session, model), None)


def _jobs_to_finalize(session: Session, model: str) -> Iterator[Job]:
    due = select(Job.id).where(Job.model == model, DUE).order_by(Job.id)
    for job_id in session.scalars(due).all():
        if try_lock_job(session, AdvisoryLock.FINALIZATION, job_id):
            yield from session.scalars(select(Job).where(Job.id == job_id, DUE))  # it may be finalized by now


def begin(session: Session, job_id: UUID) -> int:
    """Count one more attempt to finalize a job; the number of attempts."""
    counted = update(Job).where(Job.id == job_id).values(finalization_attempts=Job.finalization_attempts + 1)
    return session.scalar(counted.returning(Job.finalization_attempts)) or 0


def abandon(session: Session, job_id: UUID) -> None:
    """Undo the count of an attempt that was not completed.

    Raises: OperationalError if another transaction holds the row for longer than ABANDON_LIMIT.
    """
    set_for_transaction(session, "lock_timeout", ABANDON_LIMIT)
    counted = update(Job).where(Job.id == job_id, Job.finalization_attempts > 0)
    session.execute(counted.values(finalization_attempts=Job.finalization_attempts - 1))


def lock(session: Session, job: Job) -> bool:
    """Lock the row of a job that is to be finished; False if the job was deleted meanwhile."""
    row = select(Job).where(Job.id == job.id, Job.outcome.is_(None)).with_for_update()
    return session.scalar(row.execution_options(populate_existing=True)) is not None


def finish(session: Session, job: Job) -> None:
    """Write the outcome of a locked job."""
    job.finished_at = now(session)
    if job.cancel_requested_at is not None:
        job.outcome = Outcome.CANCELLED
    else:
        job.outcome = Outcome.FAILED if job.error else Outcome.SUCCEEDED
