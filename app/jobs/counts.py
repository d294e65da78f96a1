"""Numbers of jobs and texts by state. Each function takes a Session."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, func, select, true
from sqlalchemy.orm import Session

from app.coordination import CLOCK
from app.jobs.reports import LeaseId
from app.jobs.shards import FREE, OPEN, WANTED
from app.jobs.store import VISIBLE, has_status
from app.tables import Job, Shard, ShardDomain, layer_profile
from layerscope.names import POOLED_DOMAIN, STATUSES, Outcome, Scope, Status

JOBS_FOR_PACE = 20
UNFINISHED = (Status.QUEUED, Status.RUNNING)


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
    """Reads two indexes: that of unfinished jobs, and that of outcomes."""
    unfinished = (func.count().filter(has_status(status)) for status in UNFINISHED)
    now = session.execute(select(*unfinished).where(Job.outcome.is_(None), VISIBLE)).one()
    finished = select(Job.outcome, func.count().label("jobs")).where(Job.outcome.is_not(None), VISIBLE)
    by_outcome = {str(row.outcome): row.jobs for row in session.execute(finished.group_by(Job.outcome))}
    return dict.fromkeys(STATUSES, 0) | dict(zip(UNFINISHED, now, strict=True)) | by_outcome


@dataclass(frozen=True)
class WaitingWork:
    """Of a model: what the workers still have to measure for jobs that are neither cancelled nor failed.

    `texts`: those of shards that are not committed. `tokens`: an estimate from the bytes of these jobs and
    the tokens of finished jobs of the model; None if there are none. `free`: shards without a valid lease,
    of which `expired` had one; `leased`: the others. `oldest_seconds`: since the first of the free shards
    became free, which is when its job was submitted, or when its lease expired; 0 if no shard is free.
    """

    texts: int = 0
    tokens: float | None = 0
    free: int = 0
    leased: int = 0
    expired: int = 0
    oldest_seconds: float = 0


def waiting_work(session: Session) -> dict[str, WaitingWork]:
    """By model. Reads the open shards of unfinished jobs, and a few jobs of each of these models."""
    texts = func.sum(Shard.end_ordinal - Shard.first_ordinal)
    free_since = func.least(func.coalesce(Shard.lease_until, Job.created_at), CLOCK)
    by_job = (
        select(
            Job.model,
            texts.label("texts"),
            (texts * Job.text_bytes / func.greatest(Job.texts, 1)).label("bytes"),
            func.count().filter(FREE).label("free"),
            func.count().filter(Shard.lease_until < CLOCK).label("expired"),
            func.count().label("shards"),
            func.min(free_since).filter(FREE).label("since"),
        )
        .join(Shard, and_(Shard.job_id == Job.id, OPEN))
        .where(WANTED)
        .group_by(Job.id)
    ).subquery()
    names = ("texts", "bytes", "free", "expired", "shards")
    sums = (func.sum(by_job.c[name]) for name in names)
    oldest = func.extract("epoch", CLOCK - func.min(by_job.c.since))
    found = {}
    rows = session.execute(select(by_job.c.model, oldest, *sums).group_by(by_job.c.model)).all()
    for model, seconds, *numbers in rows:
        waiting, size, free, expired, shards = map(int, numbers)
        ratio = _tokens_per_byte(session, model)
        found[model] = WaitingWork(
            texts=waiting,
            tokens=None if ratio is None else size * ratio,
            free=free,
            leased=shards - free,
            expired=expired,
            oldest_seconds=float(seconds or 0),
        )
    return found


def _tokens_per_byte(session: Session, model: str) -> float | None:
    """Of the latest finished jobs of a model, from one row of the statistics of each."""
    recent = (
        select(Job.id, Job.text_bytes)
        .where(Job.model == model, Job.outcome == Outcome.SUCCEEDED, VISIBLE, Job.text_bytes > 0)
        .order_by(Job.id.desc())
        .limit(JOBS_FOR_PACE)
    ).subquery()
    measured = (  # the same in all components and layers
        select(layer_profile.c.tokens)
        .where(
            layer_profile.c.job_id == recent.c.id,
            layer_profile.c.domain == POOLED_DOMAIN,
            layer_profile.c.scope == Scope.ALL,
        )
        .limit(1)
    ).lateral()
    sums = func.sum(measured.c.tokens), func.sum(recent.c.text_bytes)
    tokens, size = session.execute(select(*sums).select_from(recent).join(measured, true())).one()
    return float(tokens / size) if size else None
