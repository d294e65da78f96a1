"""The end of a job: all its shards are done, or it was cancelled, or it cannot succeed any more.

Each function takes a Session and never commits. A worker needs minutes to compute the statistics of a job
and seconds to write them. It locks the row of the job only while it writes. The statistics are still valid
then, because no shard of such a job can be committed any more.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from app.coordination import CLOCK, AdvisoryLock, now, try_lock_job
from app.db import set_for_transaction
from app.errors import JobFailure, ModelChanged
from app.jobs.shards import DUE, HAS_OPEN, WANTED, measurable_by
from app.tables import Job, LoadedModel, Shard
from layerscope.names import Outcome

FINALIZATION_LIMIT = "600s"  # between two statements of a transaction that computes a job's statistics
ABANDON_LIMIT = "2s"


def reason(error: Exception) -> str:
    """An error in one line. SQLAlchemy adds the values of the statement in further lines."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def mark_failed(session: Session, which: ColumnElement[bool], failure: JobFailure) -> None:
    """Mark unfinished jobs as failed. Workers finalize them with the results that are committed."""
    session.execute(update(Job).where(which, WANTED).values(error=failure.problem.to_dict()))


def fail_without_their_model(session: Session, model: str, facts: Mapping[str, Any], seconds: float) -> None:
    """Mark jobs as failed that were started with another model than the caller's.

    A job has `seconds` from the last worker that loaded the model, and from its last committed shard: a
    worker with the right model may come back.
    """
    since = CLOCK - timedelta(seconds=seconds)
    of_job = Shard.job_id == Job.id
    recent = exists(select(Shard.number).where(of_job, or_(Shard.done_at > since, Shard.lease_until > CLOCK)))
    loaded = exists(select(LoadedModel.name).where(LoadedModel.name == model, LoadedModel.loaded_at > since))
    waiting = and_(Job.model == model, WANTED, HAS_OPEN, ~measurable_by(facts), ~recent, ~loaded)
    for job in session.scalars(select(Job).where(waiting)).all():
        detail = (
            f"No worker with the model that the job was started with came back within {seconds:g} seconds "
            f"(setting LAYERSCOPE_MODEL_WAIT_SECONDS): {differences(job.measured_with or {}, facts)}."
        )
        mark_failed(session, Job.id == job.id, ModelChanged(detail))


def differences(started_with: Mapping[str, Any], offered: Mapping[str, Any]) -> str:
    """What a job was started with, and what the workers have instead."""
    before, now = _compared(started_with), _compared(offered)
    return "; ".join(
        f"{name} {before.get(name)}, but the workers have {now.get(name)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )


def _compared(facts: Mapping[str, Any]) -> dict[str, str | None]:
    versions = {f"{package} version": version for package, version in facts.get("versions", {}).items()}
    device = str(facts.get("device", "")).partition(":")[0]
    return {"revision": facts.get("revision"), "dtype": facts.get("dtype"), "device": device, **versions}


def next_to_finalize(session: Session, model: str, postponed: Collection[UUID] = ()) -> Job | None:
    """A job of the model that can be finalized. No other worker gets it until this transaction ends."""
    set_for_transaction(session, "idle_in_transaction_session_timeout", FINALIZATION_LIMIT)
    return next(_jobs_to_finalize(session, model, postponed), None)


def _jobs_to_finalize(session: Session, model: str, postponed: Collection[UUID]) -> Iterator[Job]:
    due = select(Job.id).where(Job.model == model, DUE, Job.id.not_in(postponed)).order_by(Job.id)
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
