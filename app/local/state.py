"""The files of the embedded servers: the password, the addresses while they run, and the lock."""

import json
import os
import secrets
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from app.local.wheels import OWN_SERVERS, EmbeddedServerError


def check_platform() -> None:
    """Raises: EmbeddedServerError on Windows."""
    if find_spec("fcntl") is None:
        raise EmbeddedServerError(
            f"There are no embedded servers for this platform ({sys.platform}): {OWN_SERVERS}."
        )


def create_folder(home: Path) -> None:
    """Raises: EmbeddedServerError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise _not_writable(home, error) from error


def open_lock(home: Path) -> IO[str]:
    """The file whose lock belongs to the process that runs the servers. Raises: EmbeddedServerError."""
    try:
        return lock_file(home).open("w")
    except OSError as error:
        raise _not_writable(home, error) from error


def _not_writable(home: Path, error: OSError) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"The folder {home} is not writable ({error.strerror}): set LAYERSCOPE_HOME to another folder."
    )


def try_to_lock(lock: IO[str]) -> bool:
    """Whether the lock is now ours. The system releases it when this process ends."""
    import fcntl  # not at the top: Windows does not have it

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_file(home: Path) -> Path:
    return home / "lock"


def addresses_file(home: Path) -> Path:
    return home / "servers.json"


def read_addresses(home: Path) -> tuple[str, str] | None:
    """The URLs of PostgreSQL and Valkey, if the servers run or their parent was killed."""
    with suppress(FileNotFoundError, ValueError):
        database_url, redis_url = json.loads(addresses_file(home).read_text())
        return database_url, redis_url
    return None


def write_addresses(home: Path, database_url: str, redis_url: str) -> None:
    _write_private(addresses_file(home), json.dumps([database_url, redis_url]))


def password(home: Path) -> str:
    """The password of both servers. The first call creates it. Raises: EmbeddedServerError."""
    file = home / "password"
    found = file.read_text().strip() if file.exists() else ""
    if not found and not (home / "postgres").exists():
        found = secrets.token_hex(24)
        _write_private(file, found)
    if not found:
        raise EmbeddedServerError(
            f"{file} is empty or missing. The data in {home} can only be used with the password that it "
            "contained: restore the file from a backup, or set LAYERSCOPE_HOME to another folder."
        )
    return found


def _write_private(file: Path, text: str) -> None:
    """Write the whole file or nothing. Only the owner can read it, from its creation on."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    new.replace(file)
