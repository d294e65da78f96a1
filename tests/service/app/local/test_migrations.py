"""Migrating a database that is in use, and waiting until another process has migrated it."""

import threading
import time

import psycopg
import pytest

from app.db import migrate
from app.errors import ConfigurationError
from app.local.migrations import migrate_database, wait_until_migrated
from app.settings import Settings


def of_database(url: str) -> Settings:
    return Settings(database_url=url, redis_url="redis://127.0.0.1:1/0")


def test_it_waits_until_another_process_has_migrated(empty_database_url: str) -> None:
    migration = threading.Timer(1.5, migrate, (empty_database_url,))
    migration.start()
    started = time.monotonic()
    wait_until_migrated(of_database(empty_database_url), seconds=60)
    assert time.monotonic() - started > 1.5
    migration.join()
    wait_until_migrated(of_database(empty_database_url), seconds=0)


def test_it_gives_up_and_says_what_is_missing(empty_database_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"within 0 s\. The database does not have the tables"):
        wait_until_migrated(of_database(empty_database_url), seconds=0)
    with pytest.raises(ConfigurationError, match=r"within 0 s\. The database cannot be read: ") as raised:
        wait_until_migrated(of_database("postgresql://someone:canary@127.0.0.1:1/none"), seconds=0)
    assert "canary" not in raised.value.detail


def test_the_reason_for_waiting_is_logged_once(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    migration = threading.Timer(2.5, migrate, (empty_database_url,))
    migration.start()
    wait_until_migrated(of_database(empty_database_url))
    migration.join()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "app.local.migrations"]
    assert line == (
        "waiting: The database does not have the tables of this version. Run `layerscope migrate`."
    )


def test_a_migration_that_waits_for_a_transaction_does_not_delay_other_queries(
    empty_database_url: str,
) -> None:
    """Such as one that finalizes a job, which may take minutes. Revision 0017 adds a column to the table."""
    migrate(empty_database_url, "0016")
    migration = threading.Thread(target=migrate_database, args=(of_database(empty_database_url),))
    other = psycopg.connect(empty_database_url, autocommit=True, options="-c statement_timeout=2000")
    with psycopg.connect(empty_database_url) as finalizing, other:
        finalizing.execute("select from job")
        migration.start()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            other.execute("select from job")
            time.sleep(0.01)
        assert revision_of(other) == "0016"
        finalizing.rollback()
        migration.join()
        assert revision_of(other) != "0016"


def test_the_tables_of_a_later_version_are_refused(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
        with pytest.raises(ConfigurationError, match=r"A later version has migrated the database .*'9999'"):
            migrate_database(of_database(empty_database_url))
        assert revision_of(connection) == "9999"


def revision_of(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    return connection.execute("select version_num from alembic_version").fetchall()[0][0]
