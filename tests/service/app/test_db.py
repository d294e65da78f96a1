"""The sessions of the database."""

import time

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.db import UNAVAILABLE, is_migrated, make_engine, make_sessions, migrate, set_for_transaction


def test_a_setting_lasts_as_long_as_its_transaction(sessions: sessionmaker[Session]) -> None:
    process, shown = text("select pg_backend_pid()"), text("show lock_timeout")
    with sessions.begin() as session:
        set_for_transaction(session, "lock_timeout", "2s")
        before = session.scalar(process), session.scalar(shown)
    with sessions() as session:
        after = session.scalar(process), session.scalar(shown)
    assert before[0] == after[0]  # the pool returns the same connection
    assert (before[1], after[1]) == ("2s", "0")


def test_the_server_ends_an_idle_transaction(database_url: str) -> None:
    engine = make_engine(database_url, idle_in_transaction_seconds=0.2)
    with make_sessions(engine)() as session:
        session.execute(text("select 1"))
        time.sleep(0.6)
        with pytest.raises(UNAVAILABLE):
            session.execute(text("select 1"))
    engine.dispose()


@pytest.mark.parametrize(("revision", "expected"), [("0001", False), ("9999", True)])
def test_a_newer_schema_counts_as_migrated_and_an_older_one_does_not(
    empty_database_url: str, revision: str, expected: bool
) -> None:
    """While a later version replaces this one, its migrations have run, and this process still answers."""
    migrate(empty_database_url)
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        assert is_migrated(connection)
        connection.execute(text("update alembic_version set version_num = :it"), {"it": revision})
        assert is_migrated(connection) == expected
    engine.dispose()
