"""Whatever workers, callers and accidents do, in any order: the database agrees with a small model of it."""

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
from app.jobs import deletion, shards, store
from app.jobs.shards import Claim, Fenced
from app.tables import Job, Shard, StoredProfile, layer_profile
from tests.support.jobs_by_hand import LEASE_SECONDS, MODEL, claim, commit, submit
from worker.finalization.finalize import finalize_jobs

TEXTS_PER_SHARD = 2
TEXTS = [(("cpp", "python")[i % 2], f"text {i}") for i in range(5)]


@dataclass
class Slot:
    """A shard as it should be."""

    ordinals: range
    epoch: int = 0
    attempt: int = 0
    leased: bool = False  # and not expired
    done: bool = False


@dataclass
class Sheet:
    """A job as it should be."""

    slots: list[Slot]
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
        return [number for number, slot in enumerate(self.slots) if not slot.done and not slot.leased]

    @property
    def rows(self) -> list[int]:
        return [ordinal for slot in self.slots if slot.done for ordinal in slot.ordinals]


@dataclass
class World:
    sheets: dict[UUID, Sheet] = field(default_factory=dict)

    def slot_of(self, claim: Claim) -> Slot | None:
        """None where the claim is worth nothing any more."""
        sheet = self.sheets.get(claim.job_id)
        slot = sheet.slots[claim.number] if sheet else None
        return slot if slot and slot.epoch == claim.epoch else None


class LeaseMachine(RuleBasedStateMachine):
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        super().__init__()
        self.sessions = sessions
        self.world = World()
        with sessions.begin() as session:
            session.execute(delete(Job))

    @precondition(lambda self: len(self.world.sheets) < 3)
    @rule(texts=st.integers(1, len(TEXTS)))
    def submit(self, texts: int) -> None:
        job_id = submit(self.sessions, TEXTS[:texts], texts_per_shard=TEXTS_PER_SHARD)
        starts = range(0, texts, TEXTS_PER_SHARD)
        slots = [Slot(range(start, min(start + TEXTS_PER_SHARD, texts))) for start in starts]
        self.world.sheets[job_id] = Sheet(slots)

    @rule(target=claims)
    def claim_one(self) -> Claim | MultipleResults[Claim]:
        return self.claim()

    def claim(self) -> Claim | MultipleResults[Claim]:
        possible = {job_id: sheet.free[0] for job_id, sheet in self.world.sheets.items() if sheet.free}
        claimed = claim(self.sessions)
        if claimed is None:
            assert not possible
            return multiple()
        assert possible[claimed.job_id] == claimed.number
        sheet = self.world.sheets[claimed.job_id]
        slot = sheet.slots[claimed.number]
        slot.epoch, slot.attempt, slot.leased, sheet.started = slot.epoch + 1, slot.attempt + 1, True, True
        assert (claimed.epoch, claimed.attempt) == (slot.epoch, slot.attempt)
        return claimed

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        slot = self.world.slot_of(claim)
        if slot is not None and not slot.done and self.world.sheets[claim.job_id].is_wanted:
            slot.leased = True
            self._renew(claim)
        else:
            with pytest.raises(Fenced):
                self._renew(claim)

    def _renew(self, claim: Claim) -> None:
        with self.sessions.begin() as session:
            shards.renew(session, claim, LEASE_SECONDS)

    @rule(target=claims, late=claims)
    def inherit(self, late: Claim) -> Claim | MultipleResults[Claim]:
        """The lease runs out, and somebody claims; `late` may still turn up."""
        self.expire(late)
        return self.claim()

    @rule(claim=claims)
    def run_out(self, claim: Claim) -> None:
        self.expire(claim)

    def expire(self, claim: Claim) -> None:
        sheet = self.world.sheets.get(claim.job_id)
        if sheet is not None:
            sheet.slots[claim.number].leased = False
        with self.sessions.begin() as session:
            session.execute(
                update(Shard)
                .where(Shard.job_id == claim.job_id, Shard.number == claim.number)
                .where(Shard.lease_until.is_not(None))
                .values(lease_until=CLOCK)
            )

    @rule(claim=claims)
    def commit(self, claim: Claim) -> None:
        """The claim stays in the bundle: the second commit of one whose answer was lost is harmless."""
        slot = self.world.slot_of(claim)
        if slot is None or not self.world.sheets[claim.job_id].is_wanted:
            with pytest.raises(Fenced):
                commit(self.sessions, claim)
        else:
            slot.done, slot.leased = True, False
            commit(self.sessions, claim)

    @rule(claim=consumes(claims))
    def crash(self, claim: Claim) -> None:
        """Nobody speaks for the claim any more; its lease runs out by itself."""

    @rule(claim=consumes(claims), counted=st.booleans())
    def leave(self, claim: Claim, counted: bool) -> None:
        slot = self.world.slot_of(claim)
        if slot is not None and not slot.done:
            slot.leased = False
            slot.attempt -= not counted
        with self.sessions.begin() as session:
            (shards.give_back if counted else shards.release)(session, claim)

    @precondition(lambda self: self.world.sheets)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.world.sheets)))
        sheet = self.world.sheets[job_id]
        if sheet.outcome is not None:
            with pytest.raises(JobFinished):
                self._cancel(job_id)
            return
        sheet.cancelled = True
        if not sheet.started:
            sheet.outcome = "cancelled"
        self._cancel(job_id)

    def _cancel(self, job_id: UUID) -> None:
        with self.sessions.begin() as session:
            store.cancel(session, job_id)

    @rule()
    def close(self) -> None:
        for sheet in self.world.sheets.values():
            if sheet.outcome is None and (sheet.cancelled or all(slot.done for slot in sheet.slots)):
                sheet.outcome = "cancelled" if sheet.cancelled else "succeeded"
        finalize_jobs(self.sessions, MODEL)

    @precondition(lambda self: self.world.sheets)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.world.sheets)))
        del self.world.sheets[job_id]
        with self.sessions.begin() as session:
            store.delete_job(session, job_id)
        deletion.delete_rows(self.sessions, job_id)

    @invariant()
    def the_database_agrees(self) -> None:
        with self.sessions() as session:
            found = {job.id: job for job in session.scalars(select(Job).where(store.VISIBLE))}
            assert found.keys() == self.world.sheets.keys()
            progress = store.progress(session, found)
            for job_id, sheet in self.world.sheets.items():
                assert (found[job_id].outcome, found[job_id].started_at is not None) == (
                    sheet.outcome,
                    sheet.started,
                )
                assert slots_in(session, job_id) == sheet.slots
                assert rows_in(session, job_id) == sheet.rows
                assert sum(domain.done for domain in progress[job_id]) == len(sheet.rows)
                assert pooled_in(session, job_id) == (len(sheet.rows) if sheet.outcome else 0)


def slots_in(session: Session, job_id: UUID) -> list[Slot]:
    is_leased = Shard.lease_until > CLOCK
    rows = session.execute(
        select(Shard, is_leased).where(Shard.job_id == job_id).order_by(Shard.number)
    ).all()
    return [
        Slot(
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
    """How many texts the statistics over all domains are of."""
    texts = select(func.max(layer_profile.c.texts)).where(
        layer_profile.c.job_id == job_id, layer_profile.c.domain == "*"
    )
    return session.scalar(texts) or 0


@pytest.mark.parametrize("examples", [5, pytest.param(15, marks=pytest.mark.slow)])
def test_the_leases_hold_in_any_order_of_events(sessions: sessionmaker[Session], examples: int) -> None:
    run_state_machine_as_test(
        lambda: LeaseMachine(sessions),  # type: ignore[arg-type]  # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )
