"""Fixtures for all tests: real servers, a migrated database, and empty tables for each test.

One PostgreSQL and one Valkey serve all tests of a process. (`make test` runs several processes. Each has its
own servers and its own temporary folder.) `database_url`, `engine`, `sessions`, `redis` and `settings` give a
test empty tables and an empty Redis; `empty_database_url` gives it a database of its own without tables.
`stack` is the complete product, started once by its own command.
"""

import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import hypothesis
import psutil
import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine, make_sessions, migrate
from app.local.servers import Servers, running_servers
from app.resources import ROOT
from app.settings import Settings
from tests.support.databases.empty_tables import empty_tables
from tests.support.parallel import (  # noqa: F401  # hooks of pytest and pytest-xdist
    pytest_collection_modifyitems,
    pytest_xdist_make_scheduler,
)
from tests.support.programs.processes import RunningStack
from tests.support.programs.serving import NO_TLS, serving
from tests.support.programs.stack import SHORT_TIMES, running_stack

# Set before torch is imported: threads that wait actively slow down the other processes of a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The processes of `make test` share the processors. With one thread, three files of core tests took 29 s
    # of CPU time instead of 37 s.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SESSION_MARK = "TEST_SESSION"

# `make test` runs each property with few examples, `make slow` with many. Both always choose the same ones,
# so that the result for a commit does not depend on chance. `make fuzz` searches with new ones each time.
# An example that other processes delay is not a failure, so there are no time limits for examples.
for profile, examples in (("few examples", 25), ("many examples", 100), ("new examples", 1000)):
    hypothesis.settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=profile != "new examples",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
hypothesis.settings.load_profile("few examples")


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and the processes that tests start inherit this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_process_outlives_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails if a process that the tests started is still running 10 s after the last test."""
    os.environ[SESSION_MARK] = mark = uuid4().hex
    yield
    give_up = time.monotonic() + 10
    while left := _processes_of(mark, tmp_path_factory.getbasetemp()):
        assert time.monotonic() < give_up, f"still running: {left}"
        time.sleep(0.1)


def _processes_of(mark: str, folder: Path) -> list[str]:
    """The processes whose environment has the mark, or whose working directory is in the folder.

    Servers overwrite their environment, so they are found by their working directory. Each process of
    pytest-xdist has its own mark and its own folder, so that the processes of the others do not count.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if "multiprocessing.resource_tracker" in " ".join(process.cmdline()):
                continue  # Python stops it when this process ends
            is_marked = process.environ().get(SESSION_MARK) == mark
            if process.pid != os.getpid() and (is_marked or folder in Path(process.cwd()).parents):
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.Error:  # the process has ended meanwhile, or it belongs to another user
            continue
    return found


@pytest.fixture(scope="module")
def no_garbage() -> Iterator[None]:
    """For statsmodels' `multipletests`, which collects garbage at each call.

    With the objects of PyTorch that takes 0.4 s.
    """
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def embedded_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="session")
def migrated_database_url(embedded_servers: Servers) -> str:
    migrate(embedded_servers.database_url)
    return embedded_servers.database_url


@pytest.fixture
def database_url(migrated_database_url: str) -> str:
    """The database of all tests, with empty tables."""
    empty_tables(migrated_database_url)
    return migrated_database_url


@pytest.fixture
def empty_database_url(embedded_servers: Servers) -> Iterator[str]:
    """A database for this test only, not migrated."""
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
    """The Valkey server of all tests, without keys."""
    with Redis.from_url(embedded_servers.redis_url) as client:
        client.flushall()
    return embedded_servers.redis_url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """The settings of the product, with a short lease and sweep interval."""
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        redis_url=redis_url,
        models=ROOT / "models.toml",
        lease_seconds=4,
        sweep_seconds=1,
    )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`layerscope up` on a free port with its own home folder, for end-to-end tests."""
    with running_stack(tmp_path_factory.mktemp("stack"), SHORT_TIMES) as running:
        yield running


@pytest.fixture(scope="session")
def api_settings(
    embedded_servers: Servers, migrated_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("api"),
        database_url=migrated_database_url,
        redis_url=embedded_servers.redis_url,
        models=ROOT / "models.toml",
        sweep_seconds=3600,
    )


@pytest.fixture(scope="session")
def api_url(api_settings: Settings) -> Iterator[str]:
    with serving(api_settings) as url:
        yield url


@pytest.fixture
def api(api_url: str, database_url: str, redis_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api_url, timeout=30, verify=NO_TLS) as client:
        yield client
