"""The lease protocol on the real database: which worker may measure a shard, and whose result counts."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import now
from app.jobs import shards, store
from app.jobs.shards import Claim, Fenced
from app.tables import Job, Shard, ShardDomain, StoredProfile
from tests.support.jobs.jobs_by_hand import (
    LEASE_SECONDS,
    MEASURED_WITH,
    MODEL,
    claim,
    commit,
    measured,
    must_claim,
    submit,
)

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


def test_a_shard_is_leased_to_one_worker(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    claims = [claim(sessions) for _ in range(4)]
    assert [c.number for c in claims if c] == [0, 1, 2]
    assert claims[3] is None


def test_a_lease_starts_when_the_shard_is_claimed_not_when_the_transaction_began(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    with sessions.begin() as session:
        began = now(session)
        session.execute(select(func.pg_sleep(0.3)))
        found = shards.claim(session, MODEL, LEASE_SECONDS, MEASURED_WITH)
        assert found is not None
    assert lease_end(sessions, found) >= began + timedelta(seconds=LEASE_SECONDS + 0.3)


def test_parallel_claims_get_different_shards(sessions: Sessions) -> None:
    submit(sessions, TEXTS * 20, texts_per_shard=1)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim(sessions), range(100)))
    numbers = [c.number for c in claims if c]
    assert sorted(numbers) == list(range(100))


def test_an_uncommitted_claim_does_not_block_another(sessions: Sessions) -> None:
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
    next_claim = must_claim(sessions)
    with pytest.raises(Fenced):
        commit(sessions, late)
    commit(sessions, next_claim)
    with pytest.raises(Fenced):
        commit(sessions, late)
    with sessions() as session:
        assert session.scalars(select(StoredProfile.ordinal)).all() == [0, 1]


def test_an_expired_lease_that_no_other_worker_took_can_still_be_committed(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    slow = must_claim(sessions)
    expire(sessions, slow)
    commit(sessions, slow)
    assert shard_of(sessions, slow).done_at is not None


def test_a_repeated_commit_counts_once(sessions: Sessions) -> None:
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


def test_only_the_worker_with_the_lease_can_renew_it(sessions: Sessions) -> None:
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


def test_the_claims_of_a_deleted_job_are_fenced(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    held = must_claim(sessions)
    rows = measured(sessions, held)
    with sessions.begin() as session:
        store.delete_job(session, job_id)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.commit(session, held, rows)


def test_the_attempt_of_a_released_shard_does_not_count_and_that_of_one_given_back_does(
    sessions: Sessions,
) -> None:
    submit(sessions, TEXTS)
    with sessions.begin() as session:
        shards.release(session, must_claim(sessions))
    second = must_claim(sessions)
    assert (second.number, second.attempt) == (0, 1)
    with sessions.begin() as session:
        shards.give_back(session, second)
    assert must_claim(sessions).attempt == 2


def test_leases_use_the_clock_of_the_database(sessions: Sessions) -> None:
    submit(sessions, TEXTS, texts_per_shard=10)
    ends = lease_end(sessions, must_claim(sessions, lease_seconds=0.5))
    while (next_claim := claim(sessions)) is None:
        time.sleep(0.02)
    assert next_claim.epoch == 2
    assert lease_end(sessions, next_claim) - timedelta(seconds=LEASE_SECONDS) > ends


def test_a_small_job_does_not_wait_for_a_large_one(sessions: Sessions) -> None:
    submit(sessions, TEXTS * 40, texts_per_shard=1)
    small = submit(sessions, TEXTS, texts_per_shard=5)
    drawn = next(n for n in range(200) if must_claim(sessions).job_id == small)
    assert drawn < 100  # 2⁻¹⁰⁰ is the chance of a draw this late


def test_jobs_get_equal_shares_whatever_their_size(sessions: Sessions) -> None:
    for texts in (1000, 1000, 1000, 100):
        submit(sessions, [("cpp", "a")] * texts, texts_per_shard=1)
    shares = Counter(must_claim(sessions).job_id for _ in range(160))
    assert len(shares) == 4
    assert min(shares.values()) > 15  # of 40; a fair draw gives less than once in 500,000 runs


def test_models_with_work_have_a_free_shard_or_a_job_to_finalize(sessions: Sessions) -> None:
    def models() -> list[str]:
        with sessions() as session:
            return list(shards.models_with_work(session))

    assert models() == []
    job_id = submit(sessions, TEXTS, texts_per_shard=10)
    assert models() == [MODEL]
    held = must_claim(sessions)
    assert models() == []
    commit(sessions, held)
    assert models() == [MODEL]  # the job is to be finalized
    with sessions.begin() as session:
        store.delete_job(session, job_id)
    assert models() == []


def test_the_next_claim_knows_the_text_that_killed_a_worker(sessions: Sessions) -> None:
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
        shards.suspect(session, held, None)  # the worker survived
    expire(sessions, held)
    assert must_claim(sessions).crashes == (1, 1)


def test_a_worker_without_the_lease_cannot_record_a_suspect(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    late = must_claim(sessions)
    expire(sessions, late)
    must_claim(sessions)
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.suspect(session, late, 0)
