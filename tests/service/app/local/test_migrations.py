"""Waiting until another process has migrated the database."""

import threading
import time

import pytest

from app.db import migrate
from app.errors import ConfigurationError
from app.local.migrations import wait_until_migrated
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
