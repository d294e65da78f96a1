"""Runs a real PostgreSQL and a real Valkey from Python wheels, for a service on one machine.

The first process that requests the servers of a folder owns them: it starts them as its children and stops
them at its end. Other processes that request them meanwhile receive the same addresses.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
import redis

from app.local import postgres, state, valkey
from app.local.stop_signals import pause
from app.local.supervisor import Child, Command
from app.local.wheels import EmbeddedServerError

ATTACH_SECONDS = 60.0  # the time that another process may take to start the servers
OTHER_COMMAND_SECONDS = 10.0
START_SECONDS = 120.0  # after a crash PostgreSQL first replays its write-ahead log
START_ATTEMPTS = 4  # a free port may be taken before the server binds it
POLL_SECONDS = 0.02

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Servers:
    database_url: str
    redis_url: str
    children: tuple[Child, ...] = ()  # empty if another process owns the servers


@contextmanager
def running_servers(home: Path, *, shared: bool = True) -> Iterator[Servers]:
    """Run the servers of `home`, or share those that another process runs there.

    The thread that enters must live as long as the servers. Raises: EmbeddedServerError, also if they are not
    to be `shared` and another process does not end soon.
    """
    state.check_platform()
    home = home.resolve()
    state.create_folder(home)
    with state.open_lock(home) as lock:
        running = None
        if shared:
            running = _attach_or_lock(home, lock)
        else:
            _wait_for_lock(home, lock)
        if running:
            yield running
            return
        with _own(home) as started:
            yield started


def _attach_or_lock(home: Path, lock: IO[str]) -> Servers | None:
    """The servers that another process runs. None: this process has acquired the lock."""
    give_up = time.monotonic() + ATTACH_SECONDS
    while not state.try_to_lock(lock):
        addresses = state.read_addresses(home)
        if addresses and _both_answer(*addresses):
            return Servers(*addresses)
        if time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"Another process holds {state.lock_file(home)}, but its servers do not answer: stop that "
                "process, or set LAYERSCOPE_HOME to another folder."
            )
        pause(POLL_SECONDS)
    return None


def _wait_for_lock(home: Path, lock: IO[str]) -> None:
    """Acquire the lock. A command that only needs the database may hold it for a few seconds."""
    give_up = time.monotonic() + OTHER_COMMAND_SECONDS
    while not state.try_to_lock(lock):
        if time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"Another process already runs the servers in {home}: use its service, stop that process, or "
                "set LAYERSCOPE_HOME to another folder."
            )
        pause(POLL_SECONDS)


def _both_answer(database_url: str, redis_url: str) -> bool:
    try:
        psycopg.connect(database_url, connect_timeout=5).close()
        valkey.ping(redis_url)
    except (psycopg.OperationalError, redis.RedisError):
        return False
    return True


@contextmanager
def _own(home: Path) -> Iterator[Servers]:
    _stop_leftovers(home)
    password = state.password(home)
    postgres.create_data_folder(home)
    with ExitStack() as stack:
        database, database_url = _start(
            home, password, postgres.server_command, postgres.url, postgres.make_database
        )
        stack.callback(database.stop)
        queue, redis_url = _start_valkey(home, password)
        stack.callback(queue.stop)
        state.write_addresses(home, database_url, redis_url)
        stack.callback(state.addresses_file(home).unlink, missing_ok=True)
        yield Servers(database_url, redis_url, (database, queue))


def _start_valkey(home: Path, password: str) -> tuple[Child, str]:
    """Valkey, also if its append only file is damaged."""
    try:
        return _start(home, password, valkey.server_command, valkey.url, valkey.ping)
    except EmbeddedServerError as error:
        if valkey.UNREADABLE_FILE not in error.detail:
            raise
        log.warning("Valkey cannot read its file; %s is kept for inspection", valkey.set_data_aside(home))
        return _start(home, password, valkey.server_command, valkey.url, valkey.ping)


def _stop_leftovers(home: Path) -> None:
    """Stop the servers of an earlier process that was killed."""
    addresses = state.read_addresses(home)
    if addresses:
        valkey.stop_leftover(addresses[1])
    postgres.stop_leftover(home / "postgres")


def _start(
    home: Path,
    password: str,
    make_command: Callable[[Path, int, str], Command],
    make_url: Callable[[int, str], str],
    probe: Callable[[str], None],
) -> tuple[Child, str]:
    """A server that has answered `probe`, and its address."""
    for attempt in range(START_ATTEMPTS):
        port = _free_port()
        command = make_command(home, port, password)
        if attempt == 0 and command.log and command.log.exists():
            command.log.replace(command.log.with_suffix(".log.old"))
        child, url = Child(command), make_url(port, password)
        try:
            if _wait_for_answer(child, probe, url):
                return child, url
        except BaseException:
            child.stop()
            raise
    raise _failed(command, "does not start")


def _wait_for_answer(child: Child, probe: Callable[[str], None], url: str) -> bool:
    """Whether the server answers. It does not if it ends before."""
    give_up = time.monotonic() + START_SECONDS
    while child.is_alive():
        with suppress(psycopg.OperationalError, redis.ConnectionError, redis.TimeoutError):
            probe(url)
            return True
        if time.monotonic() > give_up:
            raise _failed(child.command, f"has not answered for {START_SECONDS:g} s")
        pause(POLL_SECONDS)
    return False


def _failed(command: Command, what: str) -> EmbeddedServerError:
    return EmbeddedServerError(f"The embedded {command.name} server {what}: {_last_lines(command.log)}")


def _last_lines(log: Path | None) -> str:
    lines = log.read_text(errors="replace").splitlines() if log else []
    return "\n".join(lines[-8:]) or "its log is empty"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
