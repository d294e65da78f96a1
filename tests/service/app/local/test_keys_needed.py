"""Other machines can reach the service only if a key exists."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.errors import ConfigurationError
from app.jobs import store
from app.local.stack import check_keys
from app.resources import ROOT
from app.settings import Settings
from app.tables import Job, KeyScope
from tests.support.http.keys import new_key
from tests.support.programs.command_line import layerscope
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
REACHABLE = ("0.0.0.0", "::", "192.0.2.1", "example.org")


@pytest.mark.parametrize("host", REACHABLE)
def test_without_a_key_the_service_refuses_other_machines(settings: Settings, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{host} can be reached from other machines"):
        check_keys(settings, host, keys_needed=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_no_key(settings: Settings, host: str) -> None:
    check_keys(settings, host, keys_needed=True)


@pytest.mark.parametrize("host", REACHABLE)
def test_the_option_overrides_it(settings: Settings, host: str) -> None:
    check_keys(settings, host, keys_needed=False)


def test_a_key_is_enough_even_if_it_is_revoked(settings: Settings, sessions: Sessions) -> None:
    with sessions.begin() as session:
        key_id, _ = keys.create(session, "alice", KeyScope.READ, None)
        keys.revoke(session, key_id)
    check_keys(settings, "0.0.0.0", keys_needed=True)


def test_a_database_without_tables_is_an_error(settings: Settings, empty_database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="The keys cannot be read"):
        check_keys(settings.model_copy(update={"database_url": empty_database_url}), "::", keys_needed=True)


def started(command: str, port: int, settings: Settings, *options: str) -> "subprocess.Popen[bytes]":
    own = {
        "LAYERSCOPE_DATABASE_URL": str(settings.database_url),
        "LAYERSCOPE_REDIS_URL": str(settings.redis_url),
        "LAYERSCOPE_HOME": str(settings.home),
    }
    return subprocess.Popen(
        (sys.executable, "-m", "app.cli", command, "--host", "0.0.0.0", "--port", str(port), *options),
        cwd=ROOT,
        env={**os.environ, **own},
        stderr=subprocess.PIPE,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("command", ["api", pytest.param("up", marks=pytest.mark.slow)])
@pytest.mark.parametrize("has_key", [False, True])
def test_the_command_refuses_or_serves(
    settings: Settings, sessions: Sessions, command: str, has_key: bool
) -> None:
    if has_key:
        key = new_key(sessions, "alice")
    port = free_port()
    process = started(command, port, settings)
    try:
        if not has_key:
            assert process.wait(60) == 2
            assert process.stderr is not None
            assert b"no key exists" in process.stderr.read()
            return
        wait_until_live(port)
        url = f"http://127.0.0.1:{port}/v1/jobs"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("command", ["api", pytest.param("up", marks=pytest.mark.slow)])
def test_the_option_of_the_command_overrides_it(settings: Settings, command: str) -> None:
    port = free_port()
    process = started(command, port, settings, "--insecure-no-keys")
    try:
        wait_until_live(port)
        assert httpx.get(f"http://127.0.0.1:{port}/v1/jobs").status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=60)


def wait_until_live(port: int) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health/live")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the API does not answer")


def test_profiling_sends_the_key_of_the_environment(
    settings: Settings, sessions: Sessions, tmp_path: Path
) -> None:
    key = new_key(sessions, "alice")
    with serving(settings) as url, ThreadPoolExecutor(1) as pool:
        refused = layerscope("profile", "--server", url, cwd=tmp_path)
        assert refused.returncode == 2
        assert "LAYERSCOPE_API_KEY" in refused.stderr
        with_key = partial(layerscope, "profile", "--server", url, cwd=tmp_path, LAYERSCOPE_API_KEY=key)
        running = pool.submit(with_key)
        wait_for(lambda: cancel_all(sessions) == ["alice"])
        done = running.result(60)
        assert done.returncode == 1
        assert done.stderr.endswith("was cancelled.\n")


def cancel_all(sessions: Sessions) -> list[str]:
    """The owners of the cancelled jobs."""
    with sessions.begin() as session:
        jobs = session.scalars(select(Job)).all()
        return [store.cancel(session, job.id).owner for job in jobs]
