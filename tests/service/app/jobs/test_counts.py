"""Numbers of jobs and texts, added up by the database."""

from uuid import uuid4

from sqlalchemy.orm import Session, sessionmaker

from app.jobs import counts, store
from tests.support.finished_job import finished_job
from tests.support.jobs_by_hand import commit, must_claim, submit

Sessions = sessionmaker[Session]
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


def test_jobs_and_texts_are_counted_by_state_without_deleted_jobs(sessions: Sessions) -> None:
    finished_job(sessions, failing=[1])
    deleted = finished_job(sessions).id
    running = submit(sessions, TEXTS)
    must_claim(sessions)
    submit(sessions, TEXTS, model="other")
    with sessions.begin() as session:
        store.delete_job(session, deleted)
    with sessions() as session:
        assert counts.jobs_by_status(session) == {
            **{"queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0},
        }
        assert counts.texts_by_state(session) == {"done": 2, "failed": 1, "waiting": 10}
        assert counts.queued_jobs_by_model(session) == {"other": 1}
    with sessions.begin() as session:
        store.cancel(session, running)
        store.get(session, running).outcome = "cancelled"
        store.get(session, running).finished_at = store.get(session, running).created_at
    with sessions() as session:
        assert counts.texts_by_state(session) == {"done": 2, "failed": 1, "waiting": 5}
