"""The sessions of the database."""

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import set_for_transaction


def test_a_setting_lasts_as_long_as_its_transaction(sessions: sessionmaker[Session]) -> None:
    process, shown = text("select pg_backend_pid()"), text("show lock_timeout")
    with sessions.begin() as session:
        set_for_transaction(session, "lock_timeout", "2s")
        before = session.scalar(process), session.scalar(shown)
    with sessions() as session:
        after = session.scalar(process), session.scalar(shown)
    assert before[0] == after[0]  # the pool returns the same connection
    assert (before[1], after[1]) == ("2s", "0")
