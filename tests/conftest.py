"""What every test may lean on: real servers, a migrated database, a clean start for each test.

One PostgreSQL and one Valkey serve the whole session. `database_url`, `engine`, `sessions`, `redis`
and `settings` show a test empty tables and an empty Redis; `empty_database_url` is a database of the
test's own, without tables. `stack` is the whole product, started once by its own command.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions, migrate
from app.embedded import Servers, servers
from app.settings import ROOT, Settings
from app.tables import Base

READY_SECONDS = 60
STOP_SECONDS = 60


@pytest.fixture(scope="session")
def embedded_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="session")
def migrated_database_url(embedded_servers: Servers) -> str:
    migrate(embedded_servers.database_url)
    return embedded_servers.database_url


@pytest.fixture
def database_url(migrated_database_url: str) -> str:
    """The session's database, with all tables empty."""
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        _empty_tables(connection)
    return migrated_database_url


def _empty_tables(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    # A session that an earlier test left inside a transaction would hold the locks for ever.
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and state like 'idle in transaction%'"
    )
    # Five times faster than TRUNCATE, which makes new files for every table and index.
    with connection.transaction():
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table.name)))


@pytest.fixture
def empty_database_url(embedded_servers: Servers) -> Iterator[str]:
    """A database of the test's own, not migrated."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(embedded_servers.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = make_url(embedded_servers.database_url).set(database=name)
        yield url.render_as_string(hide_password=False)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return make_sessions(engine)


@pytest.fixture
def redis_url(embedded_servers: Servers) -> str:
    """The session's Valkey, with nothing in it."""
    with Redis.from_url(embedded_servers.redis_url) as client:
        client.flushall()
    return embedded_servers.redis_url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """As the product gets them, with leases and sweeps that end within a test."""
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        redis_url=redis_url,
        models=ROOT / "models.toml",
        lease_seconds=4,
        sweep_seconds=1,
    )
