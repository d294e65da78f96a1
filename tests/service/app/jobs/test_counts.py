"""Numbers of jobs and texts, added up by the database."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import counts, store
from app.tables import Job, Shard, layer_profile
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MODEL, commit, must_claim, submit

Sessions = sessionmaker[Session]
MINUTE = timedelta(minutes=1)
TEXTS = [("cpp", "int x;"), ("cpp", "int y;"), ("python", "x = 1"), ("python", "y = 2"), ("cpp", "int z;")]


def test_progress_is_the_sum_of_the_shards(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    commit(sessions, must_claim(sessions))
    commit(sessions, must_claim(sessions), failing=[3])
    with sessions() as session:
        domains = {d.domain: d for d in counts.progress(session, [job_id])[job_id]}
    assert (domains["cpp"].texts, domains["cpp"].done, domains["cpp"].failed) == (3, 2, 0)
    assert (domains["python"].texts, domains["python"].done, domains["python"].failed) == (2, 1, 1)
    assert domains["cpp"].tokens == 10 + 11


def test_progress_of_unknown_jobs_is_missing(sessions: Sessions) -> None:
    with sessions() as session:
        assert counts.progress(session, [uuid4()]) == {}


def test_jobs_are_counted_by_status_without_deleted_jobs(sessions: Sessions) -> None:
    finished_job(sessions, failing=[1])
    deleted = finished_job(sessions).id
    submit(sessions, TEXTS)
    must_claim(sessions)
    submit(sessions, TEXTS, model="other")
    with sessions.begin() as session:
        store.delete_job(session, deleted)
    with sessions() as session:
        assert counts.jobs_by_status(session) == {
            **{"queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0},
        }
        assert counts.queued_jobs_by_model(session) == {"other": 1}


def test_waiting_work_is_what_unfinished_jobs_still_need(sessions: Sessions) -> None:
    submit(sessions, TEXTS)  # three shards: one is committed, one is leased, one is free
    commit(sessions, must_claim(sessions))
    must_claim(sessions)
    cancelled = submit(sessions, TEXTS)
    submit(sessions, TEXTS, model="other")
    with sessions.begin() as session:
        store.cancel(session, cancelled)
        session.execute(update(Job).where(Job.model == "other").values(created_at=CLOCK - MINUTE))
    with sessions() as session:
        found = counts.waiting_work(session)
    assert found.keys() == {MODEL, "other"}
    assert (found[MODEL].texts, found[MODEL].free, found[MODEL].leased, found[MODEL].expired) == (3, 1, 1, 0)
    assert found[MODEL].oldest_seconds < 30
    assert (found["other"].texts, found["other"].free, found["other"].leased) == (5, 3, 0)
    assert 60 < found["other"].oldest_seconds < 90


def test_a_shard_whose_lease_expired_waits_since_then(sessions: Sessions) -> None:
    submit(sessions, TEXTS, texts_per_shard=5)
    must_claim(sessions)
    with sessions.begin() as session:
        session.execute(update(Job).values(created_at=CLOCK - 60 * MINUTE))
        session.execute(update(Shard).values(lease_until=CLOCK - MINUTE))
    with sessions() as session:
        (work,) = counts.waiting_work(session).values()
    assert (work.free, work.leased, work.expired) == (1, 0, 1)
    assert 60 < work.oldest_seconds < 90


def test_waiting_tokens_are_estimated_from_finished_jobs(sessions: Sessions) -> None:
    """The tokens of a job differ between the layers of this one, which no worker has measured."""
    submitted = submit(sessions, TEXTS)
    with sessions.begin() as session:
        assert counts.waiting_work(session)[MODEL].tokens is None
        store.cancel(session, submitted)  # otherwise the next claim may be one of its shards
    done = finished_job(sessions)
    submit(sessions, TEXTS)
    columns = layer_profile.c
    pooled = columns.domain == "*", columns.scope == "all", columns.job_id == done.id
    with sessions() as session:
        estimated = counts.waiting_work(session)[MODEL].tokens
        tokens = session.scalars(select(columns.tokens).where(*pooled).distinct()).all()
        size = session.get_one(Job, done.id).text_bytes
    waiting = sum(len(text) for _, text in TEXTS)
    assert estimated in [pytest.approx(waiting * of_layer / size) for of_layer in tokens]
