"""Numbers of jobs and texts by state. Each function takes a Session."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.coordination import CLOCK
from app.jobs.reports import LeaseId
from app.jobs.store import VISIBLE, has_status
from app.tables import Job, Shard, ShardDomain
from layerscope.names import STATUSES, TEXT_OUTCOMES, Status

JOBS_FOR_PACE = 20


@dataclass(frozen=True)
class DomainProgress:
    """Texts of a domain: `done` were measured, `failed` could not be measured, the others wait.

    `leases`: those of its shards that workers hold.
    """

    domain: str
    texts: int
    done: int
    failed: int
    tokens: int
    leases: tuple[LeaseId, ...] = ()


def progress(session: Session, job_ids: Iterable[UUID]) -> dict[UUID, list[DomainProgress]]:
    """The progress of each job by domain. Domains are in the order of their first text.

    One statement reads counts and leases, so that a shard that is committed meanwhile is not counted twice.
    """
    sums = (func.sum(getattr(ShardDomain, name)) for name in ("texts", "done", "failed", "tokens"))
    ids = list(job_ids)
    is_leased = and_(
        Shard.job_id == ShardDomain.job_id,
        Shard.number == ShardDomain.number,
        Shard.job_id.in_(ids),  # follows from the others, but the planner does not see it
        Shard.done_at.is_(None),
        Shard.lease_until >= CLOCK,
    )
    lease = func.jsonb_build_array(Shard.number, Shard.epoch)
    leases = func.array_agg(lease).filter(Shard.number.is_not(None))
    statement = (
        select(ShardDomain.job_id, ShardDomain.domain, leases, *sums)
        .outerjoin(Shard, is_leased)
        .where(ShardDomain.job_id.in_(ids))
        .group_by(ShardDomain.job_id, ShardDomain.domain)
        .order_by(ShardDomain.job_id, func.min(ShardDomain.first_ordinal))
    )
    domains: dict[UUID, list[DomainProgress]] = {}
    for job_id, domain, leased, *counts in session.execute(statement):
        texts, done, failed, tokens = map(int, counts)
        leases_held = tuple(LeaseId(job_id, *lease) for lease in leased or ())
        found = DomainProgress(domain, texts, done, failed, tokens, leases_held)
        domains.setdefault(job_id, []).append(found)
    return domains


@dataclass(frozen=True)
class ModelPace:
    """What the latest finished jobs of a model say: tokens of a byte of text, and what a second measures.

    `jobs`: how many these are.
    """

    tokens_per_byte: float
    tokens_per_second: float
    texts_per_second: float
    jobs: int


def pace_of_model(session: Session, model: str) -> ModelPace | None:
    """Of the jobs that the session may see. None if there is no such job."""
    recent = (
        select(Job.id, Job.text_bytes, Job.started_at, Job.finished_at)
        .where(Job.model == model, has_status(Status.SUCCEEDED), Job.text_bytes > 0)
        .order_by(Job.id.desc())
        .limit(JOBS_FOR_PACE)
    )
    size = seconds = 0.0
    ids = []
    for job in session.execute(recent):
        ids.append(job.id)
        size += job.text_bytes
        seconds += (job.finished_at - job.started_at).total_seconds()
    domains = [domain for of_job in progress(session, ids).values() for domain in of_job]
    tokens, texts = sum(domain.tokens for domain in domains), sum(domain.done for domain in domains)
    if not tokens or not seconds:
        return None
    return ModelPace(tokens / size, tokens / seconds, texts / seconds, len(ids))


@dataclass(frozen=True)
class Backlog:
    """Unfinished jobs, their shards that are not measured yet, and the texts of these shards."""

    jobs: int = 0
    shards: int = 0
    texts: int = 0


def backlog_by_model(session: Session) -> dict[str, Backlog]:
    """Of the jobs that the session may see. Models without unfinished jobs are missing."""
    is_open = and_(Shard.job_id == Job.id, Shard.done_at.is_(None))
    is_of_shard = and_(ShardDomain.job_id == Shard.job_id, ShardDomain.number == Shard.number)
    by_job = (
        select(
            Job.model,
            func.count(Shard.number.distinct()).label("shards"),
            func.coalesce(func.sum(ShardDomain.texts), 0).label("texts"),
        )
        .outerjoin(Shard, is_open)
        .outerjoin(ShardDomain, is_of_shard)
        .where(Job.outcome.is_(None), VISIBLE)
        .group_by(Job.model, Job.id)
    ).subquery()
    sums = func.count(), func.sum(by_job.c.shards), func.sum(by_job.c.texts)
    rows = session.execute(select(by_job.c.model, *sums).group_by(by_job.c.model))
    return {model: Backlog(*map(int, numbers)) for model, *numbers in rows}


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
