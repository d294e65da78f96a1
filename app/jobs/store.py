"""Submits, reads, lists, cancels and deletes jobs. Each function takes a Session and never commits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, cast, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.coordination import CLOCK, now
from app.db import set_for_transaction
from app.errors import IdempotencyKeyReused, JobFinished, JobNotFinished, JobNotFound
from app.jobs.pairs import check_pairs
from app.jobs.quotas import Quotas, check, check_last
from app.jobs.shard_plan import ShardPlan, ShardSize
from app.tables import LOCAL_OWNER, Job, Shard, ShardDomain
from layerscope.names import Outcome, Status


class StoredText(NamedTuple):
    """A submitted text in the form in which it is stored: see app.tables.Text."""

    domain: str
    text: str
    pair: str | None = None
    form: str | None = None
    error: str | None = None


# A submitted text: most are only a domain and a string, or also a pair.
PostedText = tuple[str, str] | tuple[str, str, str] | StoredText

VISIBLE = Job.deletion_requested_at.is_(None)  # a job that is not deleted


@dataclass(frozen=True)
class Draft:
    """A checked request without its texts, which may be too many for the memory.

    `reading`: how its texts are read, as far as it changes the job and is not a default.
    """

    model: str
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    configured: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    owner: str = LOCAL_OWNER
    traceparent: str | None = None


def submit(
    session: Session,
    draft: Draft,
    texts: Iterable[PostedText],
    size: ShardSize,
    quotas: Quotas | None = None,
) -> tuple[Job, bool]:
    """Store a job with its texts and shards. Returns the job, and whether it is new.

    The insert of the job's row waits for transactions that insert the same idempotency key of the owner, so
    only one of many parallel requests with one key creates a job. A job whose texts have pairs is `paired`.

    Raises: IdempotencyKeyReused if the key was used for a different request; TooManyRequests if a new job
        exceeds the quotas; InvalidRequest if the pairs are invalid; the errors of `texts`.
    """
    reading = [draft.reading] if draft.reading else []
    plan = ShardPlan([draft.model, draft.name, draft.options, *reading], size)
    job_id = _reserve(session, draft)
    if job_id is None:
        return _first_of_the_key(session, draft, texts, plan), False
    if quotas is not None:  # before the texts are stored, which may take minutes
        check(session, draft.owner, quotas)
    _copy_texts(session, job_id, texts, plan)
    _insert_shards(session, job_id, plan)
    found: dict[str, Any] = {
        "texts": plan.texts,
        "text_bytes": plan.text_bytes,
        "request_sha256": plan.request_sha256,
    }
    if plan.has_pairs:
        check_pairs(session, job_id)
        found["options"] = draft.options | {"paired": True}
    session.execute(update(Job).where(Job.id == job_id).values(found))
    if quotas is not None:
        check_last(session, draft.owner, quotas)
    return session.get_one(Job, job_id), True


def _reserve(session: Session, draft: Draft) -> UUID | None:
    statement = (
        upsert(Job)
        .values(
            owner=draft.owner,
            model=draft.model,
            name=draft.name,
            options=draft.options,
            idempotency_key=draft.idempotency_key,
            configured=draft.configured,
            traceparent=draft.traceparent,
            texts=0,
            request_sha256=b"",
        )
        .on_conflict_do_nothing(index_elements=[Job.owner, Job.idempotency_key])
        .returning(Job.id)
    )
    return session.scalar(statement)


def _first_of_the_key(session: Session, draft: Draft, texts: Iterable[PostedText], plan: ShardPlan) -> Job:
    used = and_(Job.owner == draft.owner, Job.idempotency_key == draft.idempotency_key)
    job = session.scalars(select(Job).where(used)).one_or_none()
    if job is None:  # deleted after our insert and before our select
        raise JobFinished("The job of this Idempotency-Key has just been deleted. Send the request again.")
    # The texts may arrive more slowly than the limit for idle transactions allows.
    set_for_transaction(session, "idle_in_transaction_session_timeout", "0")
    for posted in texts:
        plan.add(*StoredText(*posted))
    if job.request_sha256 != plan.request_sha256:
        raise IdempotencyKeyReused(
            f"The Idempotency-Key was used for a different request, which created the job {job.id}."
        )
    return job


def _copy_texts(session: Session, job_id: UUID, texts: Iterable[PostedText], plan: ShardPlan) -> None:
    connection = session.connection().connection.driver_connection
    assert connection is not None
    columns = "job_id, ordinal, domain, text, pair, form, error"
    with connection.cursor().copy(f"copy text ({columns}) from stdin") as copy:
        for ordinal, posted in enumerate(texts):
            text = StoredText(*posted)
            plan.add(*text)
            copy.write_row((job_id, ordinal, *text))


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


def visible(session: Session, job_ids: Iterable[UUID]) -> Sequence[Job]:
    """Those of the jobs that exist."""
    return session.scalars(select(Job).where(Job.id.in_(job_ids), VISIBLE)).all()


def get_finished(session: Session, job_id: UUID) -> Job:
    """Raises: JobNotFound, JobNotFinished."""
    job = get(session, job_id)
    if job.outcome is None:
        raise JobNotFinished(
            f"The job is {job.status}. Its files exist after it is finished; wait with ?wait=60."
        )
    return job


def page(
    session: Session,
    *,
    status: str | None,
    model: str | None,
    limit: int,
    before: UUID | None,
    search: str = "",
) -> Sequence[Job]:
    """The newest `limit` jobs that are older than `before`. Ids are UUIDv7, so they sort by age.

    `search`: a part of the name, or the beginning of the id.
    """
    statement = select(Job).where(VISIBLE).order_by(Job.id.desc()).limit(limit)
    if status is not None:
        statement = statement.where(has_status(status))
    if model is not None:
        statement = statement.where(Job.model == model)
    if before is not None:
        statement = statement.where(Job.id < before)
    if search:
        has_id = cast(Job.id, String).istartswith(search, autoescape=True)
        statement = statement.where(or_(Job.name.icontains(search, autoescape=True), has_id))
    return session.scalars(statement).all()


def has_status(status: str) -> ColumnElement[bool]:
    if status == Status.QUEUED:
        return and_(Job.outcome.is_(None), Job.started_at.is_(None))
    if status == Status.RUNNING:
        return and_(Job.outcome.is_(None), Job.started_at.is_not(None))
    return Job.outcome == status


def cancel(session: Session, job_id: UUID) -> Job:
    """Cancel a job. It ends here if no worker has started it; otherwise when a worker has finalized it.

    Raises: JobNotFound, JobFinished.
    """
    job = get(session, job_id, locked=True)
    if job.outcome is not None:
        raise JobFinished(f"The job cannot be cancelled: it is finished ({job.outcome}).")
    job.cancel_requested_at = job.cancel_requested_at or now(session)
    if job.started_at is None:
        job.outcome, job.finished_at = Outcome.CANCELLED, job.cancel_requested_at
    return job


def delete_job(session: Session, job_id: UUID) -> None:
    """Hide a job from all requests and workers. `deletion.delete_rows` then deletes its rows.

    Raises: JobNotFound.
    """
    if not hide(session, Job.id == job_id):
        raise JobNotFound(f"There is no job {job_id}.")


def hide(session: Session, which: ColumnElement[bool]) -> dict[UUID, str]:
    """Finish jobs, hide them and release their idempotency keys. The owners of these jobs, by id."""
    hidden = session.execute(
        update(Job)
        .where(which, VISIBLE)
        .values(
            deletion_requested_at=CLOCK,
            idempotency_key=None,
            outcome=func.coalesce(Job.outcome, Outcome.CANCELLED),
            finished_at=func.coalesce(Job.finished_at, CLOCK),
        )
        .returning(Job.id, Job.owner)
    )
    return {row.id: row.owner for row in hidden}
