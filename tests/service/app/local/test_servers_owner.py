"""Who owns the embedded servers, who shares them, and what remains when the owner is killed."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.local import postgres, servers
from app.local.servers import Servers, running_servers
from app.local.wheels import EmbeddedServerError
from app.resources import ROOT
from tests.support.databases.memory import remember, remembered
from tests.support.programs.processes import is_running, wait_until_gone

# Requests the servers of a folder, prints their addresses and process ids, and waits for a signal.
OWNER = """
import json, sys, time
from pathlib import Path
from app.local import supervisor
from app.local.servers import running_servers
from app.errors import ConfigurationError
from app.local.stop_signals import Stop, stop_on_signals
if "no-parent-death-signal" in sys.argv:
    supervisor.HAS_PARENT_DEATH_SIGNAL = False  # as on macOS
try:
    with stop_on_signals(), running_servers(Path(sys.argv[1])) as running:
        pids = [child.process.pid for child in running.children]
        print(json.dumps([running.database_url, running.redis_url, pids]), flush=True)
        while True:
            time.sleep(0.1)
except Stop:
    sys.exit(0)
except ConfigurationError as error:
    sys.exit(error.detail)
"""


class Owner:
    """Another process that requests the servers of a folder."""

    def __init__(self, home: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            (*prefix, sys.executable, "-c", OWNER, str(home), *arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def addresses(self) -> Servers:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        database_url, redis_url, self.pids = json.loads(line)
        return Servers(database_url, redis_url)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def owner() -> Iterator[Callable[..., Owner]]:
    """Starts owners, and ends them even if the test fails."""
    made: list[Owner] = []

    def make(home: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> Owner:
        made.append(Owner(home, *arguments, prefix=prefix))
        return made[-1]

    yield make
    for one in made:
        one.end(signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent death signal")
def test_the_servers_of_a_killed_owner_end_and_lose_no_data(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    killed = owner(tmp_path)
    remember(killed.addresses(), "one")
    assert all(map(is_running, killed.pids))
    killed.end(signal.SIGKILL)
    wait_until_gone(killed.pids)
    with running_servers(tmp_path) as running:
        assert remembered(running) == (["one"], ["one"])


def test_leftover_servers_are_stopped_before_a_new_start(tmp_path: Path, owner: Callable[..., Owner]) -> None:
    killed = owner(tmp_path, "no-parent-death-signal")
    remember(killed.addresses(), "one")
    killed.end(signal.SIGKILL)
    time.sleep(0.5)
    assert all(map(is_running, killed.pids))
    with running_servers(tmp_path) as running:
        wait_until_gone(killed.pids, seconds=0.5)
        assert remembered(running) == (["one"], ["one"])


def test_after_ctrl_c_in_a_terminal_the_owner_stops_the_servers_in_order(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    interrupted = owner(tmp_path)
    interrupted.addresses()
    os.killpg(interrupted.process.pid, signal.SIGINT)
    assert interrupted.process.wait(30) == 0
    wait_until_gone(interrupted.pids, seconds=0.1)
    log = (tmp_path / "logs" / "valkey.log").read_text()
    assert "Received SIGTERM" in log
    assert "SIGINT" not in log


def test_a_second_process_shares_the_servers_and_leaves_them_running(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    first, second = owner(tmp_path), owner(tmp_path)
    assert first.addresses() == second.addresses()
    assert sorted(map(len, (first.pids, second.pids))) == [0, 2]
    sharing, owning = sorted((first, second), key=lambda one: len(one.pids))
    sharing.end(signal.SIGTERM)
    with running_servers(tmp_path) as running:
        assert running.children == ()
        remember(running, "one")
    assert all(map(is_running, owning.pids))
    owning.end(signal.SIGTERM)
    wait_until_gone(owning.pids, seconds=0.1)


def test_the_addresses_of_a_killed_owner_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Callable[..., Owner]
) -> None:
    monkeypatch.setattr(servers, "ATTACH_SECONDS", 0.3)
    killed = owner(tmp_path)
    killed.addresses()
    killed.end(signal.SIGKILL)
    wait_until_gone(killed.pids)
    assert (tmp_path / "servers.json").exists()
    with (tmp_path / "lock").open() as next_owner:
        fcntl.flock(next_owner, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerError, match="do not answer"), running_servers(tmp_path):
            pass


def test_lock_held_without_servers_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Callable[..., Owner]
) -> None:
    monkeypatch.setattr(servers, "ATTACH_SECONDS", 0.3)
    owner(tmp_path).addresses()
    (tmp_path / "servers.json").unlink()
    with pytest.raises(EmbeddedServerError, match="do not answer"), running_servers(tmp_path):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user then")
def test_an_ordinary_user_needs_no_namespace(tmp_path: Path, owner: Callable[..., Owner]) -> None:
    ordinary = owner(tmp_path, prefix=postgres.AS_NOBODY)
    remember(ordinary.addresses(), "one")
    arguments = Path(f"/proc/{ordinary.pids[0]}/cmdline").read_bytes()
    assert b"unshare" not in arguments
    ordinary.end(signal.SIGKILL)
    wait_until_gone(ordinary.pids)
