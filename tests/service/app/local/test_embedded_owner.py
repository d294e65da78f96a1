"""Who owns the embedded servers, who shares them, and what is left when an owner is killed."""

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

from app.local import programs
from app.local.embedded import Servers, servers
from app.local.programs import EmbeddedServerError
from app.settings import ROOT
from tests.support.memory import remember, remembered
from tests.support.processes import is_running, wait_until_gone

# Asks for the servers of a folder, tells their addresses and process ids, and waits for a signal.
OWNER = """
import json, sys, time
from pathlib import Path
from app.local import supervisor
from app.local.embedded import servers
from app.errors import ConfigurationError
from app.local.supervisor import Stop, stop_on_signals
if "untied" in sys.argv:
    supervisor.CAN_TIE = False  # as on a system that cannot tie a child to its owner
try:
    with stop_on_signals(), servers(Path(sys.argv[1])) as running:
        pids = [child.process.pid for child in running.children]
        print(json.dumps([running.database_url, running.redis_url, pids]), flush=True)
        while True:
            time.sleep(60)
except Stop:
    sys.exit(0)
except ConfigurationError as error:
    sys.exit(error.detail)
"""


class Owner:
    """Another process that asks for the servers of a folder."""

    def __init__(self, home: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            (*prefix, sys.executable, "-c", OWNER, str(home), *arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def told(self) -> Servers:
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
    """Makes owners, and ends them whatever becomes of the test."""
    made: list[Owner] = []

    def make(home: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> Owner:
        made.append(Owner(home, *arguments, prefix=prefix))
        return made[-1]

    yield make
    for one in made:
        one.end(signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its owner")
def test_killed_owner_takes_its_servers_along_and_loses_nothing(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    killed = owner(tmp_path)
    remember(killed.told(), "one")
    assert all(map(is_running, killed.pids))
    killed.end(signal.SIGKILL)
    wait_until_gone(killed.pids)
    with servers(tmp_path) as running:
        assert remembered(running) == (["one"], ["one"])


def test_servers_left_behind_are_ended_before_a_new_start(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    killed = owner(tmp_path, "untied")
    remember(killed.told(), "one")
    killed.end(signal.SIGKILL)
    time.sleep(0.5)
    assert all(map(is_running, killed.pids))
    with servers(tmp_path) as running:
        wait_until_gone(killed.pids, seconds=0.5)
        assert remembered(running) == (["one"], ["one"])


def test_ctrl_c_in_a_terminal_lets_the_owner_stop_them_in_order(
    tmp_path: Path, owner: Callable[..., Owner]
) -> None:
    interrupted = owner(tmp_path)
    interrupted.told()
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
    assert first.told() == second.told()
    assert sorted(map(len, (first.pids, second.pids))) == [0, 2]
    sharing, owning = sorted((first, second), key=lambda one: len(one.pids))
    sharing.end(signal.SIGTERM)
    with servers(tmp_path) as running:
        assert running.children == ()
        remember(running, "one")
    assert all(map(is_running, owning.pids))
    owning.end(signal.SIGTERM)
    wait_until_gone(owning.pids, seconds=0.1)


def test_addresses_left_by_a_killed_owner_deceive_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Callable[..., Owner]
) -> None:
    monkeypatch.setattr(servers, "ATTACH_SECONDS", 0.3)
    killed = owner(tmp_path)
    killed.told()
    killed.end(signal.SIGKILL)
    wait_until_gone(killed.pids)
    assert (tmp_path / "servers.json").exists()
    with (tmp_path / "lock").open() as next_owner:
        fcntl.flock(next_owner, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerError, match="do not answer"), servers(tmp_path):
            pass


def test_lock_held_without_servers_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Callable[..., Owner]
) -> None:
    monkeypatch.setattr(servers, "ATTACH_SECONDS", 0.3)
    owner(tmp_path).told()
    (tmp_path / "servers.json").unlink()
    with pytest.raises(EmbeddedServerError, match="do not answer"), servers(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user then")
def test_an_ordinary_user_needs_no_namespace(tmp_path: Path, owner: Callable[..., Owner]) -> None:
    ordinary = owner(tmp_path, prefix=programs.AS_NOBODY)
    remember(ordinary.told(), "one")
    arguments = Path(f"/proc/{ordinary.pids[0]}/cmdline").read_bytes()
    assert b"unshare" not in arguments
    ordinary.end(signal.SIGKILL)
    wait_until_gone(ordinary.pids)
