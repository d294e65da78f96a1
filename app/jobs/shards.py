"""The shards of jobs: workers claim, renew, commit, release and give back shards.

Each function takes a Session and never commits. All times are those of the database. A claim increases the
epoch of the shard. A worker with an older epoch can neither renew nor commit it.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, and_, cast, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from app.coordination import CLOCK
from app.tables import Job, Shard, ShardDomain, StoredProfile, StoredTokens, Text


class ClaimReason(StrEnum):
    """Why a shard was free."""

    FIRST = "first"  # not claimed before
    EXPIRED_LEASE = "expired_lease"  # the worker that had it died, or could not renew its lease
    RETURNED = "returned"  # the worker that had it was stopped, or could not measure it


@dataclass(frozen=True)
class Claim:
    """A shard that is leased to a worker, as long as `epoch` is the epoch of the shard.

    `waited_seconds`: since its job was submitted or its lease expired; None if it was returned.
    """

    job_id: UUID
    number: int
    epoch: int
    attempt: int
    first_ordinal: int
    end_ordinal: int
    options: dict[str, Any]
    scopes: tuple[str, ...]
    crashes: tuple[int, ...] = ()
    reason: ClaimReason = ClaimReason.FIRST
    waited_seconds: float | None = None
    traceparent: str | None = None


@dataclass(frozen=True)
class TokenResult:
    """The tokens of one text, as StoredTokens describes them."""

    token_ids: list[int]
    vocabulary: dict[str, str]
    values: bytes


@dataclass(frozen=True)
class TextResult:
    """The result of one text, as StoredProfile describes it, or an `error`."""

    ordinal: int
    domain: str
    tokens: int
    truncated: bool
    error: str | None
    values: bytes | None
    analysis: bytes | None = None
    special_tokens_added: int | None = None
    massive: list[int] | None = None
    massive_strings: list[str] | None = None
    square_norms: bytes | None = None
    token_result: TokenResult | None = None


class ShardText(NamedTuple):
    """A string, or an object with token ids or messages. A text with an error is not measured: it fails."""

    domain: str
    text: str | dict[str, Any]
    error: str | None = None


SAME_IN_A_JOB = ("revision", "dtype", "versions")  # and the class of the device


class Fenced(Exception):
    """The shard is no longer leased to this worker, or its job is finished or about to be finalized."""


OPEN = Shard.done_at.is_(None)  # a shard that is not committed
FREE = or_(Shard.lease_until.is_(None), Shard.lease_until < CLOCK)  # a shard without a valid lease
# A job whose shards are still to be measured: neither finished, nor cancelled, nor failed.
WANTED = and_(Job.outcome.is_(None), Job.cancel_requested_at.is_(None), Job.error.is_(None))
HAS_OPEN = exists(select(Shard.number).where(Shard.job_id == Job.id, OPEN))
HAS_FREE = exists(select(Shard.number).where(Shard.job_id == Job.id, OPEN, FREE))
# A job that is to be finalized: all its shards are committed, or it was cancelled or has failed.
DUE = and_(
    Job.outcome.is_(None), or_(~HAS_OPEN, Job.cancel_requested_at.is_not(None), Job.error.is_not(None))
)


def measurable_by(facts: Mapping[str, Any]) -> ColumnElement[bool]:
    """A job that no worker has started, or that was started with what these facts describe.

    Revision, dtype, class of the device, and versions of the libraries must be the same: the numbers of one
    job come from one model.
    """
    same = {name: facts[name] for name in SAME_IN_A_JOB if name in facts}
    device_class = func.split_part(Job.measured_with["device"].astext, ":", 1)
    devices = [device_class == facts["device"].partition(":")[0]] if "device" in facts else []
    return or_(Job.measured_with.is_(None), and_(Job.measured_with.contains(same), *devices))


def claim(session: Session, model: str, lease_seconds: float, measured_with: dict[str, Any]) -> Claim | None:
    """Lease the next free shard of a model to the caller; None if there is none.

    Its job was not started, or with the same `measured_with` (`measurable_by`).

    An owner with a free shard is chosen at random, then one of the owner's jobs: owners have equal shares
    of the workers however many jobs they have, and small jobs do not wait for a large one. Within a job the
    lowest number is first. The attempt is counted here, so that it also counts if the worker dies.
    """
    candidates = and_(Job.model == model, WANTED, HAS_FREE, measurable_by(measured_with))
    order_of_owners = func.hashtextextended(Job.owner, cast(random.getrandbits(63), BigInteger))
    job_ids = select(Job.id).where(candidates).order_by(order_of_owners, func.random())
    for job_id in session.scalars(job_ids).all():
        # The row of the job is locked before that of the shard, as in commit and deletion: no deadlock.
        session.execute(
            update(Job)
            .where(Job.id == job_id, Job.started_at.is_(None), WANTED)
            .values(started_at=CLOCK, measured_with=measured_with)
        )
        shard = session.scalars(
            select(Shard)
            .where(Shard.job_id == job_id, OPEN, FREE)
            # Another worker may have started the job since it was selected.
            .where(exists(select(Job.id).where(Job.id == job_id, measurable_by(measured_with))))
            .order_by(Shard.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if shard is not None:
            return _lease(session, shard, lease_seconds)
    return None


def _lease(session: Session, shard: Shard, lease_seconds: float) -> Claim:
    expired_at = shard.lease_until
    again = ClaimReason.EXPIRED_LEASE if expired_at else ClaimReason.RETURNED
    reason = again if shard.epoch else ClaimReason.FIRST
    session.execute(
        update(Shard)
        .where(Shard.job_id == shard.job_id, Shard.number == shard.number)
        .values(
            epoch=Shard.epoch + 1,
            attempt=Shard.attempt + 1,
            lease_until=CLOCK + timedelta(seconds=lease_seconds),
            crashes=func.array_remove(func.array_append(Shard.crashes, Shard.suspect), None),
            suspect=None,
        )
    )
    session.refresh(shard)
    waited = CLOCK - func.coalesce(expired_at, Job.created_at)
    of_job = select(Job.options, Job.scopes, Job.traceparent, waited).where(Job.id == shard.job_id)
    options, scopes, traceparent, time = session.execute(of_job).one()
    return Claim(
        shard.job_id,
        shard.number,
        shard.epoch,
        shard.attempt,
        shard.first_ordinal,
        shard.end_ordinal,
        options,
        tuple(scopes),
        tuple(shard.crashes),
        reason,
        None if reason is ClaimReason.RETURNED else time.total_seconds(),
        traceparent,
    )


def texts(session: Session, claim: Claim) -> Sequence[ShardText]:
    """The texts of a shard in ordinal order."""
    in_shard = Text.ordinal.between(claim.first_ordinal, claim.end_ordinal - 1)
    rows = session.execute(
        select(Text.domain, Text.text, Text.form, Text.error)
        .where(Text.job_id == claim.job_id, in_shard)
        .order_by(Text.ordinal)
    )
    return [ShardText(row.domain, _as_submitted(row.text, row.form), row.error) for row in rows]


def _as_submitted(text: str, form: str | None) -> str | dict[str, Any]:
    return text if form is None else {form: json.loads(text)}


def _leased_by(claim: Claim) -> ColumnElement[bool]:
    return and_(Shard.job_id == claim.job_id, Shard.number == claim.number, Shard.epoch == claim.epoch)


def renew(session: Session, claim: Claim, lease_seconds: float) -> None:
    """Raises: Fenced, also if the job was cancelled or has failed."""
    wanted = exists(select(Job.id).where(Job.id == claim.job_id, WANTED))
    renewed = session.scalar(
        update(Shard)
        .where(_leased_by(claim), OPEN, wanted)
        .values(lease_until=CLOCK + timedelta(seconds=lease_seconds))
        .returning(Shard.number)
    )
    if renewed is None:
        raise Fenced


def give_back(session: Session, claim: Claim) -> None:
    """Free a shard whose measurement failed. The attempt remains counted."""
    session.execute(update(Shard).where(_leased_by(claim), OPEN).values(lease_until=None, suspect=None))


def suspect(session: Session, claim: Claim, ordinal: int | None) -> None:
    """Record the text that is measured alone next. If the worker dies, the next claim knows the cause.

    Raises: Fenced.
    """
    noted = session.scalar(
        update(Shard).where(_leased_by(claim), OPEN).values(suspect=ordinal).returning(Shard.number)
    )
    if noted is None:
        raise Fenced


def release(session: Session, claim: Claim) -> None:
    """Free a shard whose measurement was stopped. The attempt is not counted."""
    session.execute(
        update(Shard)
        .where(_leased_by(claim), OPEN)
        .values(lease_until=None, attempt=Shard.attempt - 1, suspect=None)
    )


def commit(session: Session, claim: Claim, measured: Sequence[TextResult]) -> None:
    """Store all rows of a shard and mark it as done. Repeating a commit has no effect.

    The row of the job is locked in share mode, so that nothing is added to a job after it was cancelled.

    Raises: Fenced if the shard is no longer leased to the caller.
    """
    wanted = select(Job.id).where(Job.id == claim.job_id, WANTED)
    if session.scalar(wanted.with_for_update(read=True)) is None:
        raise Fenced
    done = session.scalar(
        update(Shard)
        .where(_leased_by(claim), OPEN)
        .values(done_at=CLOCK, lease_until=None)
        .returning(Shard.number)
    )
    if done is None:
        if session.scalar(select(Shard.done_at).where(_leased_by(claim))) is None:
            raise Fenced
        return  # an earlier commit succeeded, but its answer was lost
    session.execute(insert(StoredProfile), [_row(claim, text) for text in measured])
    for text in measured:
        if text.token_result is not None:  # one by one: they can have many megabytes
            row = {"job_id": claim.job_id, "ordinal": text.ordinal, **vars(text.token_result)}
            session.execute(insert(StoredTokens), row)
    _count(session, claim, measured)


def _row(claim: Claim, text: TextResult) -> dict[str, Any]:
    row = vars(text) | {"job_id": claim.job_id}
    del row["domain"], row["token_result"]
    return row


def _count(session: Session, claim: Claim, measured: Sequence[TextResult]) -> None:
    for domain in {text.domain for text in measured}:
        texts = [text for text in measured if text.domain == domain]
        done = [text for text in texts if text.error is None]
        session.execute(
            update(ShardDomain)
            .where(
                ShardDomain.job_id == claim.job_id,
                ShardDomain.number == claim.number,
                ShardDomain.domain == domain,
            )
            .values(done=len(done), failed=len(texts) - len(done), tokens=sum(text.tokens for text in done))
        )


def models_with_work(session: Session) -> Sequence[str]:
    """The models with a free shard or a job to finalize."""
    return session.scalars(select(Job.model).where(or_(DUE, and_(WANTED, HAS_FREE))).distinct()).all()


def models_with_due_jobs(session: Session) -> Sequence[str]:
    """The models with a job to finalize."""
    return session.scalars(select(Job.model).where(DUE).distinct()).all()
