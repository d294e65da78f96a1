"""Limits on what an owner has in the service at the same time."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.coordination import AdvisoryLock, lock_name
from app.errors import TooManyRequests
from app.tables import Job, ShardDomain

RETRY_AFTER_SECONDS = 60


@dataclass(frozen=True)
class Quotas:
    live_jobs: int  # that are not finished
    queued_texts: int  # of live jobs, not yet measured
    stored_bytes: int  # of the texts of all jobs that are not deleted


def check(session: Session, owner: str, quotas: Quotas) -> None:
    """Raises: TooManyRequests if the owner has more than allowed, including what this transaction stores."""
    of_owner = (Job.owner == owner, Job.deletion_requested_at.is_(None))
    live = (*of_owner, Job.outcome.is_(None))
    jobs = select(func.count()).select_from(Job).where(*live)
    waiting = func.coalesce(func.sum(ShardDomain.texts - ShardDomain.done - ShardDomain.failed), 0)
    texts = select(waiting).join(Job, Job.id == ShardDomain.job_id).where(*live)
    size = select(func.coalesce(func.sum(Job.text_bytes), 0)).where(*of_owner)
    for what, statement, limit, setting in (
        ("unfinished jobs", jobs, quotas.live_jobs, "OWNER_LIVE_JOBS_LIMIT"),
        ("texts that are not yet measured", texts, quotas.queued_texts, "OWNER_QUEUED_TEXTS_LIMIT"),
        ("bytes of texts", size, quotas.stored_bytes, "OWNER_STORED_BYTES_LIMIT"),
    ):
        if session.execute(statement).scalar_one() > limit:
            raise TooManyRequests(
                f"With this job, {owner} would have more than {limit} {what} (setting LAYERSCOPE_{setting}). "
                "Wait until jobs are finished, or delete some.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )


def check_last(session: Session, owner: str, quotas: Quotas) -> None:
    """The same at the end of a transaction. Others of the owner wait for its commit, so that each counts."""
    lock_name(session, AdvisoryLock.OWNER, owner)
    check(session, owner, quotas)
