"""The engine, the sessions and the migrations of the database."""

from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.pq import Format
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import InternalError, OperationalError, TimeoutError
from sqlalchemy.orm import Session, sessionmaker

from app.resources import MIGRATIONS

# The server is unavailable, or it ended our connection or transaction, or the pool has no free connection.
UNAVAILABLE = (OperationalError, InternalError, TimeoutError)
NOT_MIGRATED = "The database does not have the tables of this version. Run `layerscope migrate`."


def make_engine(database_url: str, *, pool_size: int = 20, idle_in_transaction_seconds: float = 60) -> Engine:
    """An engine on psycopg 3 that tests each connection before use.

    A process that is suspended within a transaction holds its row locks until the server ends the
    transaction. This is the reason for the limit of idle time.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    limit = f"-c idle_in_transaction_session_timeout={int(idle_in_transaction_seconds * 1000)}"
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # texts must not appear in error messages
        connect_args={"options": f"-c timezone=UTC {limit}", "connect_timeout": 5},
    )
    event.listen(engine, "connect", _stream_in_binary)
    return engine


class _BinaryServerCursor(psycopg.ServerCursor[Any]):
    """Streams rows in the binary format of PostgreSQL. As text, values of texts would be twice as long."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.format = Format.BINARY


def _stream_in_binary(connection: psycopg.Connection[Any], _: object) -> None:
    connection.server_cursor_factory = _BinaryServerCursor


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


def set_for_transaction(session: Session, setting: str, value: str) -> None:
    """Like SET LOCAL, which cannot take parameters."""
    session.execute(select(func.set_config(setting, value, True)))


def migrate(database_url: str, revision: str = "head") -> None:
    """Upgrade the database to `revision`, or downgrade it to "base"."""
    config = alembic_config()
    config.attributes["database_url"] = database_url
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def is_migrated(connection: Connection) -> bool:
    """Whether the database has the newest revision known to this code, or that of a later version.

    A later version migrates the database while processes of this version still answer requests.
    """
    known = ScriptDirectory.from_config(alembic_config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current == known.get_current_head():
        return True
    return current is not None and current not in {script.revision for script in known.walk_revisions()}
