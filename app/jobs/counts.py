"""Numbers of jobs and texts by state. Each function takes a Session."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.jobs.store import VISIBLE, has_status
from app.tables import Job, ShardDomain
from layerscope.names import STATUSES, TEXT_OUTCOMES, Status


@dataclass(frozen=True)
class DomainProgress:
    """Texts of a domain: `done` were measured, `failed` could not be measured, the others wait."""

    domain: str
    texts: int
    done: int
    failed: int
    tokens: int


def progress(session: Session, job_ids: Iterable[UUID]) -> dict[UUID, list[DomainProgress]]:
    """The progress of each job by domain. Domains are in the order of their first text."""
    sums = (func.sum(getattr(ShardDomain, name)) for name in ("texts", "done", "failed", "tokens"))
    statement = (
        select(ShardDomain.job_id, ShardDomain.domain, *sums)
        .where(ShardDomain.job_id.in_(list(job_ids)))
        .group_by(ShardDomain.job_id, ShardDomain.domain)
        .order_by(ShardDomain.job_id, func.min(ShardDomain.first_ordinal))
    )
    domains: dict[UUID, list[DomainProgress]] = {}
    for job_id, domain, *counts in session.execute(statement):
        domains.setdefault(job_id, []).append(DomainProgress(domain, *map(int, counts)))
    return domains


def queued_jobs_by_model(session: Session) -> dict[str, int]:
    statement = (
        select(Job.model, func.count().label("jobs")).where(has_status(Status.QUEUED)).group_by(Job.model)
    )
    return {row.model: row.jobs for row in session.execute(statement)}


def jobs_by_status(session: Session) -> dict[str, int]:
    counts = (func.count().filter(has_status(status)) for status in STATUSES)
    return dict(zip(STATUSES, session.execute(select(*counts).where(VISIBLE)).one(), strict=True))


def texts_by_state(session: Session) -> dict[str, int]:
    """Texts of the jobs that are not deleted. The remaining texts of a finished job do not wait."""
    unfinished = Job.outcome.is_(None)
    waiting = ShardDomain.texts - ShardDomain.done - ShardDomain.failed
    sums = (func.sum(ShardDomain.done), func.sum(ShardDomain.failed), func.sum(waiting).filter(unfinished))
    row = session.execute(select(*sums).join(Job, Job.id == ShardDomain.job_id).where(VISIBLE)).one()
    return {state: int(count or 0) for state, count in zip(TEXT_OUTCOMES, row, strict=True)}
