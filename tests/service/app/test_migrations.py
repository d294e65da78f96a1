"""Downgrades refuse what an older version would measure wrongly."""

import pytest
from alembic import command
from sqlalchemy import func, select

from app.db import alembic_config, make_engine, make_sessions, migrate
from app.jobs import store
from app.jobs.store import StoredText
from app.tables import StoredProfile, Text
from tests.support.finished_job import finished_job
from tests.support.jobs_by_hand import submit


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


def downgrade(url: str) -> None:
    config = alembic_config()
    config.attributes["database_url"] = url
    command.downgrade(config, "0008")
