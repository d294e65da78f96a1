"""Shards: cut when a job is accepted; claimed, renewed, committed or given back by workers.

Each function takes a Session and never commits. All times are the database's. A claim raises the
shard's epoch; whoever holds an older epoch can neither renew nor commit.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from app.coordination import CLOCK
from app.tables import Job, Shard, ShardDomain, StoredProfile, Text

PAIR_FOLLOWS = b"\xff" * 8  # in the fingerprint, where else the length of a domain's name stands


@dataclass(frozen=True)
class ShardSize:
    """A shard is closed with the text that takes it to one of these."""

    characters: int
    texts: int


@dataclass
class _Shard:
    first_ordinal: int
    characters: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    first_of: dict[str, int] = field(default_factory=dict)  # each domain's first ordinal here

    @property
    def end_ordinal(self) -> int:
        return self.first_ordinal + sum(self.texts.values())


class ShardPlan:
    """Cuts a job's texts into shards, and takes the fingerprint of the whole request on the way.

    The plan depends on the request and the size alone, and is frozen with the job.
    """

    def __init__(self, request: list[Any], size: ShardSize) -> None:
        self.shards: list[_Shard] = []
        self.has_pairs = False
        self._size = size
        self._hash = hashlib.sha256(json.dumps(request, sort_keys=True).encode())

    @property
    def texts(self) -> int:
        return self.shards[-1].end_ordinal if self.shards else 0

    @property
    def request_sha256(self) -> bytes:
        return self._hash.digest()

    def add(self, domain: str, text: str, pair: str | None = None) -> None:
        self._fingerprint(domain, text)
        if pair is not None:
            self.has_pairs = True
            self._hash.update(PAIR_FOLLOWS)
            self._fingerprint(pair)
        if not self.shards or self._is_full(self.shards[-1]):
            self.shards.append(_Shard(self.texts))
        shard = self.shards[-1]
        shard.characters += len(text)
        shard.first_of.setdefault(domain, self.texts)
        shard.texts[domain] = shard.texts.get(domain, 0) + 1

    def _fingerprint(self, *parts: str) -> None:
        for part in map(str.encode, parts):
            self._hash.update(len(part).to_bytes(8))
            self._hash.update(part)

    def _is_full(self, shard: _Shard) -> bool:
        texts = shard.end_ordinal - shard.first_ordinal
        return shard.characters >= self._size.characters or texts >= self._size.texts


@dataclass(frozen=True)
class Claim:
    """A shard in a worker's hands, for as long as `epoch` is the shard's."""

    job_id: UUID
    number: int
    epoch: int
    attempt: int
    first_ordinal: int
    end_ordinal: int
    options: dict[str, Any]
    crashes: tuple[int, ...] = ()


@dataclass(frozen=True)
class TextResult:
    """What a worker has to say of one text: `values` and `analysis` as in the table, or an `error`."""

    ordinal: int
    domain: str
    tokens: int
    truncated: bool
    error: str | None
    values: bytes | None
    analysis: bytes | None = None


class Fenced(Exception):
    """The shard is no longer this worker's, or its job's end is due or past."""


OPEN = Shard.done_at.is_(None)
FREE = or_(Shard.lease_until.is_(None), Shard.lease_until < CLOCK)
WANTED = and_(Job.outcome.is_(None), Job.cancel_requested_at.is_(None), Job.error.is_(None))
HAS_OPEN = exists(select(Shard.number).where(Shard.job_id == Job.id, OPEN))
DUE = and_(
    Job.outcome.is_(None), or_(~HAS_OPEN, Job.cancel_requested_at.is_not(None), Job.error.is_not(None))
)


def claim(session: Session, model: str, lease_seconds: float, measured_with: dict[str, Any]) -> Claim | None:
    """Lease the next shard of a model to the caller, or None where none waits.

    The job is drawn at random among those with a free shard, so that a huge one starves no small
    one; within a job the lowest number goes first. The attempt is counted here: a kill counts.
    """
    free = select(Shard.number).where(Shard.job_id == Job.id, OPEN, FREE)
    job_ids = select(Job.id).where(Job.model == model, WANTED, exists(free)).order_by(func.random())
    for job_id in session.scalars(job_ids).all():
        # The job's row before the shard's, as whoever deletes or commits: else two would wait for each other.
        session.execute(
            update(Job)
            .where(Job.id == job_id, Job.started_at.is_(None), WANTED)
            .values(started_at=CLOCK, measured_with=measured_with)
        )
        shard = session.scalars(
            select(Shard)
            .where(Shard.job_id == job_id, OPEN, FREE)
            .order_by(Shard.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if shard is not None:
            return _lease(session, shard, lease_seconds)
    return None


def _lease(session: Session, shard: Shard, lease_seconds: float) -> Claim:
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
    options = session.scalars(select(Job.options).where(Job.id == shard.job_id)).one()
    return Claim(
        shard.job_id,
        shard.number,
        shard.epoch,
        shard.attempt,
        shard.first_ordinal,
        shard.end_ordinal,
        options,
        tuple(shard.crashes),
    )


def texts(session: Session, claim: Claim) -> Sequence[tuple[str, str]]:
    """The (domain, text) pairs of a shard in ordinal order."""
    in_shard = Text.ordinal.between(claim.first_ordinal, claim.end_ordinal - 1)
    rows = session.execute(
        select(Text.domain, Text.text).where(Text.job_id == claim.job_id, in_shard).order_by(Text.ordinal)
    )
    return [(row.domain, row.text) for row in rows]


def _mine(claim: Claim) -> ColumnElement[bool]:
    return and_(Shard.job_id == claim.job_id, Shard.number == claim.number, Shard.epoch == claim.epoch)


def renew(session: Session, claim: Claim, lease_seconds: float) -> None:
    """Raises: Fenced, also where the job's end was asked for: there is no point in going on."""
    wanted = exists(select(Job.id).where(Job.id == claim.job_id, WANTED))
    renewed = session.scalar(
        update(Shard)
        .where(_mine(claim), OPEN, wanted)
        .values(lease_until=CLOCK + timedelta(seconds=lease_seconds))
        .returning(Shard.number)
    )
    if renewed is None:
        raise Fenced


def give_back(session: Session, claim: Claim) -> None:
    """Free a shard whose measuring failed; the attempt stays counted."""
    session.execute(update(Shard).where(_mine(claim), OPEN).values(lease_until=None, suspect=None))


def suspect(session: Session, claim: Claim, ordinal: int | None) -> None:
    """Note the text that is about to be measured alone: if the worker dies, the next claim knows by which.

    Raises: Fenced.
    """
    noted = session.scalar(
        update(Shard).where(_mine(claim), OPEN).values(suspect=ordinal).returning(Shard.number)
    )
    if noted is None:
        raise Fenced


def release(session: Session, claim: Claim) -> None:
    """Free a shard that was not measured to its end, as if it had not been claimed."""
    session.execute(
        update(Shard)
        .where(_mine(claim), OPEN)
        .values(lease_until=None, attempt=Shard.attempt - 1, suspect=None)
    )


def commit(session: Session, claim: Claim, measured: Sequence[TextResult]) -> None:
    """Close a shard with its rows, all or nothing; a second time is harmless.

    A share of the job's row is held meanwhile, so that nothing is added to a job whose end was asked for.

    Raises: Fenced if the shard is not the caller's any more.
    """
    wanted = select(Job.id).where(Job.id == claim.job_id, WANTED)
    if session.scalar(wanted.with_for_update(read=True)) is None:
        raise Fenced
    closed = session.scalar(
        update(Shard)
        .where(_mine(claim), OPEN)
        .values(done_at=CLOCK, lease_until=None)
        .returning(Shard.number)
    )
    if closed is None:
        if session.scalar(select(Shard.done_at).where(_mine(claim))) is None:
            raise Fenced
        return  # an earlier commit of ours whose answer was lost
    session.execute(insert(StoredProfile), [_row(claim, text) for text in measured])
    _count(session, claim, measured)


def _row(claim: Claim, text: TextResult) -> dict[str, Any]:
    row = asdict(text)
    del row["domain"]
    return {"job_id": claim.job_id, **row}


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
    """The models with a free shard or a job to be closed."""
    free_shard = exists(select(Shard.number).where(Shard.job_id == Job.id, OPEN, FREE))
    return session.scalars(select(Job.model).where(or_(DUE, and_(WANTED, free_shard))).distinct()).all()
