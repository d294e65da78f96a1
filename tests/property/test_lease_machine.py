"""The database agrees with a small model of jobs and shards after any sequence of events.

The events are those of workers and callers, and crashes of workers.
"""

from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.errors import JobFinished
from app.jobs import counts, deletion, shards, store
from app.jobs.shards import Claim, Fenced
from app.tables import Job, Shard, StoredProfile, layer_profile
from tests.support.jobs.jobs_by_hand import LEASE_SECONDS, MODEL, claim, commit, submit
from worker.finalization.finalize import finalize_jobs

TEXTS_PER_SHARD = 2
TEXTS = [(("cpp", "python")[i % 2], f"text {i}") for i in range(5)]


@dataclass
class ExpectedShard:
    ordinals: range
    epoch: int = 0
    attempt: int = 0
    leased: bool = False  # with a lease that has not expired
    done: bool = False


@dataclass
class ExpectedJob:
    shards: list[ExpectedShard]
    cancelled: bool = False
    started: bool = False
    outcome: str | None = None

    @property
    def is_wanted(self) -> bool:
        return self.outcome is None and not self.cancelled

    @property
    def free(self) -> list[int]:
        if not self.is_wanted:
            return []
        return [number for number, shard in enumerate(self.shards) if not shard.done and not shard.leased]

    @property
    def rows(self) -> list[int]:
        return [ordinal for shard in self.shards if shard.done for ordinal in shard.ordinals]


@dataclass
class ExpectedState:
    jobs: dict[UUID, ExpectedJob] = field(default_factory=dict)

    def shard_of(self, claim: Claim) -> ExpectedShard | None:
        """None if the claim is no longer valid."""
        job = self.jobs.get(claim.job_id)
        shard = job.shards[claim.number] if job else None
        return shard if shard and shard.epoch == claim.epoch else None


class LeaseMachine(RuleBasedStateMachine):
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        super().__init__()
        self.sessions = sessions
        self.expected = ExpectedState()
        with sessions.begin() as session:
            session.execute(delete(Job))

    @precondition(lambda self: len(self.expected.jobs) < 3)
    @rule(texts=st.integers(1, len(TEXTS)))
    def submit(self, texts: int) -> None:
        job_id = submit(self.sessions, TEXTS[:texts], texts_per_shard=TEXTS_PER_SHARD)
        starts = range(0, texts, TEXTS_PER_SHARD)
        expected = [ExpectedShard(range(start, min(start + TEXTS_PER_SHARD, texts))) for start in starts]
        self.expected.jobs[job_id] = ExpectedJob(expected)

    @rule(target=claims)
    def claim_one(self) -> Claim | MultipleResults[Claim]:
        return self.claim()

    def claim(self) -> Claim | MultipleResults[Claim]:
        possible = {job_id: job.free[0] for job_id, job in self.expected.jobs.items() if job.free}
        claimed = claim(self.sessions)
        if claimed is None:
            assert not possible
            return multiple()
        assert possible[claimed.job_id] == claimed.number
        job = self.expected.jobs[claimed.job_id]
        shard = job.shards[claimed.number]
        shard.epoch, shard.attempt, shard.leased, job.started = shard.epoch + 1, shard.attempt + 1, True, True
        assert (claimed.epoch, claimed.attempt) == (shard.epoch, shard.attempt)
        return claimed

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        shard = self.expected.shard_of(claim)
        if shard is not None and not shard.done and self.expected.jobs[claim.job_id].is_wanted:
            shard.leased = True
            self._renew(claim)
        else:
            with pytest.raises(Fenced):
                self._renew(claim)

    def _renew(self, claim: Claim) -> None:
        with self.sessions.begin() as session:
            shards.renew(session, claim, LEASE_SECONDS)

    @rule(target=claims, late=claims)
    def expire_and_claim(self, late: Claim) -> Claim | MultipleResults[Claim]:
        """The lease expires, and another worker claims the shard. The claim `late` may still be used."""
        self.expire(late)
        return self.claim()

    @rule(claim=claims)
    def expire_lease(self, claim: Claim) -> None:
        self.expire(claim)

    def expire(self, claim: Claim) -> None:
        job = self.expected.jobs.get(claim.job_id)
        if job is not None:
            job.shards[claim.number].leased = False
        with self.sessions.begin() as session:
            session.execute(
                update(Shard)
                .where(Shard.job_id == claim.job_id, Shard.number == claim.number)
                .where(Shard.lease_until.is_not(None))
                .values(lease_until=CLOCK)
            )

    @rule(claim=claims)
    def commit(self, claim: Claim) -> None:
        """The claim remains in the bundle: a second commit, after a lost answer, has no effect."""
        shard = self.expected.shard_of(claim)
        if shard is None or not self.expected.jobs[claim.job_id].is_wanted:
            with pytest.raises(Fenced):
                commit(self.sessions, claim)
        else:
            shard.done, shard.leased = True, False
            commit(self.sessions, claim)

    @rule(claim=consumes(claims))
    def crash(self, claim: Claim) -> None:
        """The worker dies: it does not use the claim any more, and the lease expires later."""

    @rule(claim=consumes(claims), counted=st.booleans())
    def abandon(self, claim: Claim, counted: bool) -> None:
        shard = self.expected.shard_of(claim)
        if shard is not None and not shard.done:
            shard.leased = False
            shard.attempt -= not counted
        with self.sessions.begin() as session:
            (shards.give_back if counted else shards.release)(session, claim)

    @precondition(lambda self: self.expected.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.expected.jobs)))
        job = self.expected.jobs[job_id]
        if job.outcome is not None:
            with pytest.raises(JobFinished):
                self._cancel(job_id)
            return
        job.cancelled = True
        if not job.started:
            job.outcome = "cancelled"
        self._cancel(job_id)

    def _cancel(self, job_id: UUID) -> None:
        with self.sessions.begin() as session:
            store.cancel(session, job_id)

    @rule()
    def finalize(self) -> None:
        for job in self.expected.jobs.values():
            if job.outcome is None and (job.cancelled or all(shard.done for shard in job.shards)):
                job.outcome = "cancelled" if job.cancelled else "succeeded"
        finalize_jobs(self.sessions, MODEL)

    @precondition(lambda self: self.expected.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.expected.jobs)))
        del self.expected.jobs[job_id]
        with self.sessions.begin() as session:
            store.delete_job(session, job_id)
        deletion.delete_rows(self.sessions, job_id)

    @invariant()
    def the_database_agrees(self) -> None:
        with self.sessions() as session:
            found = {job.id: job for job in session.scalars(select(Job).where(store.VISIBLE))}
            assert found.keys() == self.expected.jobs.keys()
            progress = counts.progress(session, found)
            for job_id, job in self.expected.jobs.items():
                assert (found[job_id].outcome, found[job_id].started_at is not None) == (
                    job.outcome,
                    job.started,
                )
                assert shards_in(session, job_id) == job.shards
                assert rows_in(session, job_id) == job.rows
                assert sum(domain.done for domain in progress[job_id]) == len(job.rows)
                assert pooled_in(session, job_id) == (len(job.rows) if job.outcome else 0)


def shards_in(session: Session, job_id: UUID) -> list[ExpectedShard]:
    is_leased = Shard.lease_until > CLOCK
    rows = session.execute(
        select(Shard, is_leased).where(Shard.job_id == job_id).order_by(Shard.number)
    ).all()
    return [
        ExpectedShard(
            ordinals=range(shard.first_ordinal, shard.end_ordinal),
            epoch=shard.epoch,
            attempt=shard.attempt,
            leased=bool(leased),
            done=shard.done_at is not None,
        )
        for shard, leased in rows
    ]


def rows_in(session: Session, job_id: UUID) -> list[int]:
    ordinals = (
        select(StoredProfile.ordinal).where(StoredProfile.job_id == job_id).order_by(StoredProfile.ordinal)
    )
    return list(session.scalars(ordinals))


def pooled_in(session: Session, job_id: UUID) -> int:
    """The number of texts in the statistics over all domains."""
    texts = select(func.max(layer_profile.c.texts)).where(
        layer_profile.c.job_id == job_id, layer_profile.c.domain == "*"
    )
    return session.scalar(texts) or 0


@pytest.mark.parametrize("examples", [5, pytest.param(15, marks=pytest.mark.slow)])
def test_leases_are_respected_in_any_order_of_events(sessions: sessionmaker[Session], examples: int) -> None:
    run_state_machine_as_test(
        lambda: LeaseMachine(sessions),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )
