"""Downgrades refuse what an older version would measure wrongly."""

import pytest
from alembic import command
from sqlalchemy import func, select

from app.db import alembic_config, make_engine, make_sessions, migrate
from app.jobs import store
from app.jobs.store import StoredText
from app.tables import LOCAL_OWNER, Job, StoredProfile, Text
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit


@pytest.mark.parametrize(
    "text",
    [StoredText("a", "[1]", form="token_ids"), StoredText("a", "", error="the text is missing")],
    ids=["token ids", "an invalid text"],
)
def test_a_downgrade_refuses_unfinished_jobs_with_other_texts_than_strings(
    empty_database_url: str, text: StoredText
) -> None:
    migrate(empty_database_url)
    engine = make_engine(empty_database_url)
    sessions = make_sessions(engine)
    finished_job(sessions)
    job_id = submit(sessions, [StoredText("a", "b"), text])
    with pytest.raises(RuntimeError, match="1 unfinished jobs contain token ids"):
        downgrade(empty_database_url)
    with sessions.begin() as session:
        store.cancel(session, job_id)
    downgrade(empty_database_url)
    migrate(empty_database_url)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Text)) == 5
        assert session.scalar(select(func.count()).select_from(StoredProfile)) == 3
    engine.dispose()


def test_a_downgrade_keeps_the_jobs_of_all_owners(empty_database_url: str) -> None:
    migrate(empty_database_url)
    engine = make_engine(empty_database_url)
    sessions = make_sessions(engine)
    ids = [submit(sessions, [("a", "b")], key="1", owner=owner) for owner in (LOCAL_OWNER, "alice", "bob")]
    downgrade(empty_database_url, "0011")
    migrate(empty_database_url)
    with sessions() as session:
        rows = session.execute(select(Job.id, Job.owner, Job.idempotency_key).order_by(Job.id)).all()
    assert [tuple(row) for row in rows] == [
        (job_id, LOCAL_OWNER, key) for job_id, key in zip(ids, ("1", None, None), strict=True)
    ]
    engine.dispose()


def test_the_bytes_of_earlier_jobs_are_counted(empty_database_url: str) -> None:
    migrate(empty_database_url)
    engine = make_engine(empty_database_url)
    sessions = make_sessions(engine)
    ids = [submit(sessions, [("a", text) for text in texts]) for texts in (["€", "bc"], ["d"])]
    downgrade(empty_database_url, "0012")
    migrate(empty_database_url)
    with sessions() as session:
        assert [session.get_one(Job, job_id).text_bytes for job_id in ids] == [5, 1]
    engine.dispose()


def downgrade(url: str, revision: str = "0008") -> None:
    config = alembic_config()
    config.attributes["database_url"] = url
    command.downgrade(config, revision)
