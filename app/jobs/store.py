"""Jobs: submit, get, list, cancel, delete. Each function takes a Session and never commits."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.coordination import CLOCK, now
from app.db import set_for_transaction
from app.errors import IdempotencyKeyReused, InvalidRequest, JobFinished, JobNotFinished, JobNotFound
from app.jobs.shards import ShardPlan, ShardSize
from app.tables import Job, Shard, ShardDomain, Text
from layerscope.names import STATUSES, TEXT_OUTCOMES, Outcome, Status

# A text as it is posted: its domain, itself and, where it has one, its pair.
PostedText = tuple[str, str] | tuple[str, str, str]

VISIBLE = Job.deletion_requested_at.is_(None)


@dataclass(frozen=True)
class Draft:
    """A checked request, but for its texts, which may be too many to hold."""

    model: str
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    configured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DomainProgress:
    """Texts of a domain: `done` were measured, `failed` could not be; the rest wait."""

    domain: str
    texts: int
    done: int
    failed: int
    tokens: int


def submit(session: Session, draft: Draft, texts: Iterable[PostedText], size: ShardSize) -> tuple[Job, bool]:
    """Write a job with its texts and shards; the job, and whether it is new.

    The insert of the job's row waits for another that holds the same idempotency key, so of many
    parallel requests with one key one is new. A job whose texts have pairs is `paired`.

    Raises: IdempotencyKeyReused if the key stands for another request; InvalidRequest if a domain has
        two texts of one pair, or no pair has texts of two domains.
    """
    plan = ShardPlan([draft.model, draft.name, draft.options], size)
    job_id = _reserve(session, draft)
    if job_id is None:
        return _first_of_the_key(session, draft, texts, plan), False
    _copy_texts(session, job_id, texts, plan)
    _insert_shards(session, job_id, plan)
    found: dict[str, Any] = {"texts": plan.texts, "request_sha256": plan.request_sha256}
    if plan.has_pairs:
        _check_partners(session, job_id)
        found["options"] = draft.options | {"paired": True}
    session.execute(update(Job).where(Job.id == job_id).values(found))
    return session.get_one(Job, job_id), True


def _reserve(session: Session, draft: Draft) -> UUID | None:
    statement = (
        upsert(Job)
        .values(
            model=draft.model,
            name=draft.name,
            options=draft.options,
            idempotency_key=draft.idempotency_key,
            configured=draft.configured,
            texts=0,
            request_sha256=b"",
        )
        .on_conflict_do_nothing(index_elements=[Job.idempotency_key])
        .returning(Job.id)
    )
    return session.scalar(statement)


def _first_of_the_key(session: Session, draft: Draft, texts: Iterable[PostedText], plan: ShardPlan) -> Job:
    key = draft.idempotency_key
    job = session.scalars(select(Job).where(Job.idempotency_key == key)).one_or_none()
    if job is None:  # deleted between our insert and our look
        raise JobFinished("The job of this Idempotency-Key has just been deleted: send the request again.")
    # They may take longer to arrive than a transaction may be idle.
    set_for_transaction(session, "idle_in_transaction_session_timeout", "0")
    for posted in texts:
        plan.add(*posted)
    if job.request_sha256 != plan.request_sha256:
        raise IdempotencyKeyReused(
            f"The Idempotency-Key was used for another request, which became job {job.id}."
        )
    return job


def _copy_texts(session: Session, job_id: UUID, texts: Iterable[PostedText], plan: ShardPlan) -> None:
    connection = session.connection().connection.driver_connection
    assert connection is not None
    try:
        with connection.cursor().copy("copy text (job_id, ordinal, domain, text, pair) from stdin") as copy:
            for ordinal, (domain, text, *pair) in enumerate(texts):
                plan.add(domain, text, *pair)
                copy.write_row((job_id, ordinal, domain, text, pair[0] if pair else None))
    except UniqueViolation as error:
        raise _pair_twice(error) from None


def _pair_twice(error: UniqueViolation) -> InvalidRequest:
    """Only the database has seen all pairs, and it says in its own language which is there twice."""
    key = re.search(r"=\([^,]*, ([^,]*), (.*)\)", error.diag.message_detail or "", re.DOTALL)
    assert key is not None
    return InvalidRequest(f"Two texts of the domain {key[1]} have the pair {key[2]}: only one may.")


def _check_partners(session: Session, job_id: UUID) -> None:
    of_two_domains = (
        select(Text.pair)
        .where(Text.job_id == job_id, Text.pair.is_not(None))
        .group_by(Text.pair)
        .having(func.count() > 1)
    )
    if not session.scalar(select(of_two_domains.exists())):
        raise InvalidRequest("No pair has texts of two domains: there is nothing to compare in pairs.")


def _insert_shards(session: Session, job_id: UUID, plan: ShardPlan) -> None:
    shards = [
        {"job_id": job_id, "number": number, "first_ordinal": s.first_ordinal, "end_ordinal": s.end_ordinal}
        for number, s in enumerate(plan.shards)
    ]
    domains = [
        {
            "job_id": job_id,
            "number": number,
            "domain": domain,
            "first_ordinal": s.first_of[domain],
            "texts": texts,
        }
        for number, s in enumerate(plan.shards)
        for domain, texts in s.texts.items()
    ]
    session.execute(insert(Shard), shards)
    session.execute(insert(ShardDomain), domains)


def get(session: Session, job_id: UUID, *, locked: bool = False) -> Job:
    """Raises: JobNotFound."""
    job = session.get(Job, job_id, with_for_update=locked)
    if job is None or job.deletion_requested_at is not None:
        raise JobNotFound(f"There is no job {job_id}.")
    return job


def get_finished(session: Session, job_id: UUID) -> Job:
    """Raises: JobNotFound, JobNotFinished."""
    job = get(session, job_id)
    if job.outcome is None:
        raise JobNotFinished(f"The job is {job.status}: its files are there when it is finished.")
    return job


def page(
    session: Session, *, status: str | None, model: str | None, limit: int, before: UUID | None
) -> Sequence[Job]:
    """The newest `limit` jobs older than `before`; ids are UUIDv7, so they sort by age."""
    statement = select(Job).where(VISIBLE).order_by(Job.id.desc()).limit(limit)
    if status is not None:
        statement = statement.where(_has_status(status))
    if model is not None:
        statement = statement.where(Job.model == model)
    if before is not None:
        statement = statement.where(Job.id < before)
    return session.scalars(statement).all()


def _has_status(status: str) -> ColumnElement[bool]:
    if status == Status.QUEUED:
        return and_(Job.outcome.is_(None), Job.started_at.is_(None))
    if status == Status.RUNNING:
        return and_(Job.outcome.is_(None), Job.started_at.is_not(None))
    return Job.outcome == status


def progress(session: Session, job_ids: Iterable[UUID]) -> dict[UUID, list[DomainProgress]]:
    """The progress of each job by domain, domains in the order of their first text."""
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


def queued_by_model(session: Session) -> dict[str, int]:
    statement = (
        select(Job.model, func.count().label("jobs")).where(_has_status(Status.QUEUED)).group_by(Job.model)
    )
    return {row.model: row.jobs for row in session.execute(statement)}


def count_by_status(session: Session) -> dict[str, int]:
    counts = (func.count().filter(_has_status(status)) for status in STATUSES)
    return dict(zip(STATUSES, session.execute(select(*counts).where(VISIBLE)).one(), strict=True))


def count_texts_by_state(session: Session) -> dict[str, int]:
    """Of the jobs that are there; what a finished job has left waits for nothing and is not counted."""
    unfinished = Job.outcome.is_(None)
    waiting = ShardDomain.texts - ShardDomain.done - ShardDomain.failed
    sums = (func.sum(ShardDomain.done), func.sum(ShardDomain.failed), func.sum(waiting).filter(unfinished))
    row = session.execute(select(*sums).join(Job, Job.id == ShardDomain.job_id).where(VISIBLE)).one()
    return {state: int(count or 0) for state, count in zip(TEXT_OUTCOMES, row, strict=True)}


def cancel(session: Session, job_id: UUID) -> Job:
    """Ask for a job's end. One that no worker has taken ends here, another when a worker closes it.

    Raises: JobNotFound, JobFinished.
    """
    job = get(session, job_id, locked=True)
    if job.outcome is not None:
        raise JobFinished(f"The job is finished ({job.outcome}): there is nothing to cancel.")
    job.cancel_requested_at = job.cancel_requested_at or now(session)
    if job.started_at is None:
        job.outcome, job.finished_at = Outcome.CANCELLED, job.cancel_requested_at
    return job


def delete_job(session: Session, job_id: UUID) -> None:
    """Hide a job from all requests and workers; `deletion.delete_rows` then deletes its rows.

    Raises: JobNotFound.
    """
    if not hide(session, Job.id == job_id):
        raise JobNotFound(f"There is no job {job_id}.")


def hide(session: Session, which: ColumnElement[bool]) -> int:
    """End the jobs, take them out of sight and free their keys; how many there were."""
    hidden = session.scalars(
        update(Job)
        .where(which, VISIBLE)
        .values(
            deletion_requested_at=CLOCK,
            idempotency_key=None,
            outcome=func.coalesce(Job.outcome, Outcome.CANCELLED),
            finished_at=func.coalesce(Job.finished_at, CLOCK),
        )
        .returning(Job.id)
    )
    return len(hidden.all())
