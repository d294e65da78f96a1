"""Migrates the database for a command, or waits until another process has done so."""

import time

from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.db import NOT_MIGRATED, is_migrated, make_engine, migrate
from app.errors import ConfigurationError
from app.local.stop_signals import pause
from app.settings import Settings

POLL_SECONDS = 1.0


def migrate_database(settings: Settings) -> None:
    """Raises: ConfigurationError."""
    assert settings.database_url is not None  # `connected` has set it
    try:
        migrate(settings.database_url)
    except (SQLAlchemyError, CommandError) as error:
        raise ConfigurationError(f"The database cannot be migrated: {_first_line(error)}") from error


def wait_until_migrated(settings: Settings, seconds: float) -> None:
    """Also waits for the database itself. Raises: ConfigurationError after this time."""
    assert settings.database_url is not None  # `connected` has set it
    engine = make_engine(settings.database_url)
    give_up = time.monotonic() + seconds
    try:
        while (obstacle := _obstacle(engine)) is not None:
            if time.monotonic() > give_up:
                raise ConfigurationError(
                    f"Nothing has migrated the database within {seconds:g} s. {obstacle}"
                )
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
