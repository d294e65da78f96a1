"""Why a shard was free when it was claimed, and how long it had waited."""

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from app.tables import Job, Shard
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS, must_claim, submit

Sessions = sessionmaker[Session]
MINUTE = timedelta(minutes=1)


def test_the_first_claim_waited_since_the_submission(sessions: Sessions) -> None:
    submit(sessions, [("cpp", "a")])
    with sessions.begin() as session:
        session.execute(update(Job).values(created_at=CLOCK - MINUTE))
    claim = must_claim(sessions)
    assert (claim.reason, claim.traceparent) == ("first", None)
    assert claim.waited_seconds is not None
    assert 60 < claim.waited_seconds < 90


def test_an_expired_lease_waited_since_it_expired(sessions: Sessions) -> None:
    submit(sessions, [("cpp", "a")])
    must_claim(sessions)
    with sessions.begin() as session:
        session.execute(update(Job).values(created_at=CLOCK - 60 * MINUTE))
        session.execute(update(Shard).values(lease_until=CLOCK - MINUTE))
    claim = must_claim(sessions)
    assert claim.reason == "expired_lease"
    assert claim.waited_seconds is not None
    assert 60 < claim.waited_seconds < 90


def test_it_is_unknown_since_when_a_returned_shard_waited(sessions: Sessions) -> None:
    submit(sessions, [("cpp", "a")])
    for free in (shards.give_back, shards.release):
        claim = must_claim(sessions)
        with sessions.begin() as session:
            free(session, claim)
    claim = must_claim(sessions)
    assert (claim.reason, claim.waited_seconds) == ("returned", None)


def test_the_trace_of_the_request_is_not_a_part_of_the_request(sessions: Sessions) -> None:
    """A repeated request has another span, and is answered with the same job."""
    found = []
    for traceparent in ("00-1", "00-2"):
        draft = Draft(MODEL, options=OPTIONS, idempotency_key="k", traceparent=traceparent)
        with sessions.begin() as session:
            job, is_new = store.submit(session, draft, [("cpp", "a")], ShardSize(100, 100))
            found.append((job.id, job.traceparent, is_new))
    assert [is_new for *_, is_new in found] == [True, False]
    assert len({job_id for job_id, *_ in found}) == 1
    assert must_claim(sessions).traceparent == "00-1"
