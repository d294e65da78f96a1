"""A real PostgreSQL and a real Valkey from Python wheels, for a service on one machine.

The first process that asks for the servers of a folder owns them: it starts them as its children
and stops them when it is done. Others that ask meanwhile are given the same addresses.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
import redis

from app.local import programs
from app.local.programs import EmbeddedServerError
from app.local.supervisor import Child, Command

ATTACH_SECONDS = 60.0  # how long another process may take to bring the servers up
START_SECONDS = 120.0  # PostgreSQL reads its journal first after a crash
START_ATTEMPTS = 4  # a port seen free may be taken by the time the server binds it
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Servers:
    database_url: str
    redis_url: str
    children: tuple[Child, ...] = ()  # none where another process owns them


@contextmanager
def servers(home: Path) -> Iterator[Servers]:
    """Run the servers of `home`, or share those that another process runs there.

    To be entered by a thread that lives as long as the servers shall.
    """
    home = home.resolve()
    with _open_lock(home) as lock:
        running = _attach_or_lock(home, lock)
        if running:
            yield running
            return
        with _own(home) as started:
            yield started


def _open_lock(home: Path) -> IO[str]:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(exist_ok=True)
        return (home / "lock").open("w")
    except OSError as error:
        raise EmbeddedServerError(
            f"The folder {home} cannot be written to ({error.strerror}); set LAYERSCOPE_HOME to another."
        ) from error


def _attach_or_lock(home: Path, lock: IO[str]) -> Servers | None:
    """Servers that answer, or none and the lock is ours."""
    give_up = time.monotonic() + ATTACH_SECONDS
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        running = _read_state(home)
        if running and _both_answer(running):
            return running
        if time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"Another process holds {home / 'lock'}, but its servers do not answer."
            )
        time.sleep(POLL_SECONDS)


@contextmanager
def _own(home: Path) -> Iterator[Servers]:
    password = _password(home)
    left_behind = _read_state(home)
    if left_behind:
        programs.end_valkey(left_behind.redis_url)
    programs.end_postgres(home / "postgres")
    programs.create_postgres(home, password)
    with ExitStack() as stack:
        postgres, database_url = _start(
            home, programs.postgres_command, programs.postgres_url, programs.make_database, password
        )
        stack.callback(postgres.stop)
        valkey, redis_url = _start(
            home, programs.valkey_command, programs.valkey_url, programs.ping, password
        )
        stack.callback(valkey.stop)
        _write_private(_state_file(home), json.dumps([database_url, redis_url]))
        stack.callback(_state_file(home).unlink, missing_ok=True)
        yield Servers(database_url, redis_url, (postgres, valkey))


# What is kept in the folder


def _state_file(home: Path) -> Path:
    return home / "servers.json"


def _read_state(home: Path) -> Servers | None:
    try:
        return Servers(*json.loads(_state_file(home).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def _password(home: Path) -> str:
    file = home / "password"
    if not file.exists():
        _write_private(file, secrets.token_hex(24))
    return file.read_text()


def _write_private(file: Path, text: str) -> None:
    """Whole or not at all, and readable by us alone from the first moment."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    new.replace(file)


# Starting


def _start(
    home: Path,
    make_command: Callable[[Path, int, str], Command],
    make_url: Callable[[int, str], str],
    probe: Callable[[str], None],
    password: str,
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
    """Whether the server has answered; not if it has ended before."""
    give_up = time.monotonic() + START_SECONDS
    while child.is_alive():
        with suppress(psycopg.OperationalError, redis.ConnectionError, redis.TimeoutError):
            probe(url)
            return True
        if time.monotonic() > give_up:
            raise _failed(child.command, f"has not answered for {START_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    return False


def _failed(command: Command, what: str) -> EmbeddedServerError:
    return EmbeddedServerError(f"The embedded {command.name} server {what}: {_tail(command.log)}")


def _tail(log: Path | None) -> str:
    lines = log.read_text(errors="replace").splitlines() if log else []
    return "\n".join(lines[-8:]) or "it left no log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _both_answer(running: Servers) -> bool:
    try:
        psycopg.connect(running.database_url, connect_timeout=5).close()
        programs.ping(running.redis_url)
    except (psycopg.OperationalError, redis.RedisError):
        return False
    return True
