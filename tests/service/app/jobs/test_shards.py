"""The lease protocol on the real database: who may measure a shard, and whose result counts."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards, store
from app.jobs.shards import Claim, Fenced, ShardPlan, ShardSize
from app.tables import Job, Shard, ShardDomain, StoredProfile
from tests.support.jobs_by_hand import LEASE_SECONDS, MODEL, claim, commit, measured, must_claim, submit

Sessions = sessionmaker[Session]
TEXTS = [("cpp", "int x;"), ("cpp", "int y;"), ("python", "x = 1"), ("python", "y = 2"), ("cpp", "int z;")]


def shard_of(sessions: Sessions, claim: Claim) -> Shard:
    with sessions() as session:
        return session.get_one(Shard, (claim.job_id, claim.number))


def lease_end(sessions: Sessions, claim: Claim) -> datetime:
    until = shard_of(sessions, claim).lease_until
    assert until is not None
    return until


def job_of(sessions: Sessions, job_id: UUID) -> Job:
    with sessions() as session:
        return store.get(session, job_id)


def expire(sessions: Sessions, claim: Claim) -> None:
    with sessions.begin() as session:
        session.execute(
            update(Shard)
            .where(Shard.job_id == claim.job_id, Shard.number == claim.number)
            .values(lease_until=func.clock_timestamp())
        )


def test_the_plan_covers_each_ordinal_once_and_cuts_by_characters() -> None:
    plan = ShardPlan([], ShardSize(characters=10, texts=100))
    for text in ("a" * 4, "b" * 4, "c" * 4, "d" * 30, "e"):
        plan.add("x", text)
    assert [(s.first_ordinal, s.end_ordinal) for s in plan.shards] == [(0, 3), (3, 4), (4, 5)]


def test_the_fingerprint_knows_where_a_text_ends() -> None:
    def fingerprint(*texts: tuple[str, str]) -> bytes:
        plan = ShardPlan(["demo"], ShardSize(10, 10))
        for domain, text in texts:
            plan.add(domain, text)
        return plan.request_sha256

    assert fingerprint(("a", "bc")) != fingerprint(("ab", "c"))
    assert fingerprint(("a", "b"), ("a", "c")) != fingerprint(("a", "c"), ("a", "b"))
    assert fingerprint(("a", "b")) == fingerprint(("a", "b"))


def test_a_shard_is_leased_to_one_worker(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    claims = [claim(sessions) for _ in range(4)]
    assert [c.number for c in claims if c] == [0, 1, 2]
    assert claims[3] is None


def test_parallel_claims_never_meet(sessions: Sessions) -> None:
    submit(sessions, TEXTS * 20, texts_per_shard=1)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim(sessions), range(100)))
    numbers = [c.number for c in claims if c]
    assert sorted(numbers) == list(range(100))


def test_a_claim_in_the_making_holds_nobody_up(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    must_claim(sessions)
    with sessions.begin() as one, sessions.begin() as other:
        other.execute(select(func.set_config("lock_timeout", "2s", True)))
        claims = [shards.claim(session, MODEL, LEASE_SECONDS, {}) for session in (one, other)]
    assert [c.number for c in claims if c] == [1, 2]


def test_a_claim_starts_the_job_and_counts_the_attempt(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    assert job_of(sessions, job_id).status == "queued"
    first = must_claim(sessions)
    job = job_of(sessions, job_id)
    assert (job.status, first.epoch, first.attempt) == ("running", 1, 1)
    assert job.measured_with is not None
    expire(sessions, first)
    again = must_claim(sessions)
    assert (again.number, again.epoch, again.attempt) == (first.number, 2, 2)


def test_a_late_commit_is_fenced(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    late = must_claim(sessions)
    expire(sessions, late)
    heir = must_claim(sessions)
    with pytest.raises(Fenced):
        commit(sessions, late)
    commit(sessions, heir)
    with pytest.raises(Fenced):
        commit(sessions, late)
    with sessions() as session:
        assert session.scalars(select(StoredProfile.ordinal)).all() == [0, 1]


def test_an_expired_lease_that_nobody_took_may_still_commit(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    slow = must_claim(sessions)
    expire(sessions, slow)
    commit(sessions, slow)
    assert shard_of(sessions, slow).done_at is not None


def test_a_commit_sent_twice_counts_once(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    held = must_claim(sessions)
    commit(sessions, held)
    commit(sessions, held)
    with sessions() as session:
        assert session.scalar(select(func.sum(ShardDomain.done))) == 2


def test_a_commit_is_all_or_nothing(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    held = must_claim(sessions)
    rows = measured(sessions, held)
    with pytest.raises(Exception, match="duplicate key"), sessions.begin() as session:
        shards.commit(session, held, [*rows, rows[0]])
    assert shard_of(sessions, held).done_at is None
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(StoredProfile)) == 0


def test_only_the_holder_renews(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    held = must_claim(sessions, lease_seconds=1)
    until = shard_of(sessions, held).lease_until
    with sessions.begin() as session:
        shards.renew(session, held, LEASE_SECONDS)
    renewed = shard_of(sessions, held).lease_until
    assert until is not None
    assert renewed is not None
    assert renewed > until
    expire(sessions, held)
    must_claim(sessions)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.renew(session, held, LEASE_SECONDS)


def test_a_cancelled_job_is_not_renewed_and_not_claimed(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    held = must_claim(sessions)
    with sessions.begin() as session:
        store.cancel(session, job_id)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.renew(session, held, LEASE_SECONDS)
    assert claim(sessions) is None


def test_nothing_is_added_to_a_finished_job(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    held = must_claim(sessions)
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        job.outcome, job.finished_at = "cancelled", job.created_at
    with pytest.raises(Fenced):
        commit(sessions, held)


def test_a_deleted_job_takes_its_claims_along(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    held = must_claim(sessions)
    rows = measured(sessions, held)
    with sessions.begin() as session:
        store.delete_job(session, job_id)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.commit(session, held, rows)


def test_a_released_shard_is_as_if_never_claimed_and_one_given_back_is_not(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    with sessions.begin() as session:
        shards.release(session, must_claim(sessions))
    second = must_claim(sessions)
    assert (second.number, second.attempt) == (0, 1)
    with sessions.begin() as session:
        shards.give_back(session, second)
    assert must_claim(sessions).attempt == 2


def test_the_lease_goes_by_the_databases_clock(sessions: Sessions) -> None:
    submit(sessions, TEXTS, texts_per_shard=10)
    ends = lease_end(sessions, must_claim(sessions, lease_seconds=0.5))
    while (heir := claim(sessions)) is None:
        time.sleep(0.02)
    assert heir.epoch == 2
    assert lease_end(sessions, heir) - timedelta(seconds=LEASE_SECONDS) > ends


def test_a_small_job_is_not_starved_by_a_huge_one(sessions: Sessions) -> None:
    submit(sessions, TEXTS * 40, texts_per_shard=1)
    small = submit(sessions, TEXTS, texts_per_shard=5)
    drawn = next(n for n in range(200) if must_claim(sessions).job_id == small)
    assert drawn < 100  # 2⁻¹⁰⁰ is the chance of a draw this late


def test_jobs_are_given_like_shares_however_large_they_are(sessions: Sessions) -> None:
    for texts in (1000, 1000, 1000, 100):
        submit(sessions, [("cpp", "a")] * texts, texts_per_shard=1)
    shares = Counter(must_claim(sessions).job_id for _ in range(160))
    assert len(shares) == 4
    assert min(shares.values()) > 15  # of 40; a fair draw gives less than once in 500,000 runs


def test_models_with_work_are_those_that_a_worker_could_serve(sessions: Sessions) -> None:
    def models() -> list[str]:
        with sessions() as session:
            return list(shards.models_with_work(session))

    assert models() == []
    job_id = submit(sessions, TEXTS, texts_per_shard=10)
    assert models() == [MODEL]
    held = must_claim(sessions)
    assert models() == []
    commit(sessions, held)
    assert models() == [MODEL]  # to be closed
    with sessions.begin() as session:
        store.delete_job(session, job_id)
    assert models() == []


def test_progress_is_the_sum_of_the_shards(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    commit(sessions, must_claim(sessions))
    commit(sessions, must_claim(sessions), failing=[3])
    with sessions() as session:
        domains = {d.domain: d for d in store.progress(session, [job_id])[job_id]}
    assert (domains["cpp"].texts, domains["cpp"].done, domains["cpp"].failed) == (3, 2, 0)
    assert (domains["python"].texts, domains["python"].done, domains["python"].failed) == (2, 1, 1)
    assert domains["cpp"].tokens == 10 + 11


def test_a_text_that_kills_its_worker_is_known_to_the_next(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    held = must_claim(sessions)
    assert held.crashes == ()
    for died in (1, 2):
        with sessions.begin() as session:
            shards.suspect(session, held, 1)
        expire(sessions, held)
        held = must_claim(sessions)
        assert held.crashes == (1,) * died
    with sessions.begin() as session:
        shards.suspect(session, held, 0)
    with sessions.begin() as session:
        shards.suspect(session, held, None)  # it lived
    expire(sessions, held)
    assert must_claim(sessions).crashes == (1, 1)


def test_who_lost_a_shard_accuses_no_text_of_it(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    late = must_claim(sessions)
    expire(sessions, late)
    must_claim(sessions)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.suspect(session, late, 0)
