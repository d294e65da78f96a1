"""Migrates the database for a command, or waits until another process has done so."""

import logging
import math
import time

import psycopg
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.db import NOT_MIGRATED, is_migrated, make_engine, migrate
from app.errors import ConfigurationError
from app.local.stop_signals import pause
from app.settings import Settings

POLL_SECONDS = 1.0
PAUSE_SECONDS = 2.0  # between two attempts to lock the tables; queries that waited are answered meanwhile

log = logging.getLogger(__name__)


def migrate_database(settings: Settings) -> None:
    """Waits for transactions that use the tables, without delaying others. Raises: ConfigurationError."""
    assert settings.database_url is not None  # `connected` has set it
    waits = False
    try:
        while not _migrated(settings.database_url):
            if not waits:
                log.warning("The migration waits until no other transaction uses the tables.")
            waits = True
            pause(PAUSE_SECONDS)
    except CommandError as error:  # the revision of the database is unknown
        raise ConfigurationError(
            f"A later version has migrated the database ({_first_line(error)}): use that version."
        ) from error
    except SQLAlchemyError as error:
        raise ConfigurationError(f"The database cannot be migrated: {_first_line(error)}") from error


def _migrated(database_url: str) -> bool:
    """False if another transaction uses the tables, for example one that finalizes a job."""
    try:
        migrate(database_url)
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            return False
        raise
    return True


def wait_until_migrated(settings: Settings, seconds: float = math.inf) -> None:
    """Also waits for the database itself. Raises: ConfigurationError after this time."""
    assert settings.database_url is not None  # `connected` has set it
    engine = make_engine(settings.database_url)
    give_up = time.monotonic() + seconds
    logged = None
    try:
        while (obstacle := _obstacle(engine)) is not None:
            if time.monotonic() > give_up:
                raise ConfigurationError(
                    f"Nothing has migrated the database within {seconds:g} s. {obstacle}"
                )
            if obstacle != logged:
                log.warning("waiting: %s", obstacle)
            logged = obstacle
            pause(POLL_SECONDS)
    finally:
        engine.dispose()


def _obstacle(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return None if is_migrated(connection) else NOT_MIGRATED
    except SQLAlchemyError as error:
        return f"The database cannot be read: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error.args[0]).splitlines()[0]
