"""Finds the key that a user has for a service."""

import os
import re
import stat
from pathlib import Path

from layerscope.client.errors import KeyFileError

VARIABLE = "LAYERSCOPE_API_KEY"
SHARED = stat.S_IRWXG | stat.S_IRWXO


def find_key() -> str | None:
    """The key of the environment variable, or else that of the key file. None if there is neither.

    Raises: KeyFileError.
    """
    variable = os.environ.get(VARIABLE, "").strip()
    return checked(variable, VARIABLE) if variable else _read(key_file())


def key_file() -> Path:
    configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(configuration) / "layerscope" / "key"


def checked(key: str, origin: str) -> str:
    """Raises: KeyFileError if it cannot be sent in a header. The message does not contain the key."""
    if not re.fullmatch(r"[!-~]+", key):
        raise KeyFileError(f"{origin} does not contain a key: a key is one word that starts with ls_.")
    return key


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            if os.name != "nt":  # Windows has no such modes
                _check_mode(file, os.fstat(opened.fileno()))
            content = opened.read(10_000)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"The key file {file} cannot be read ({error.strerror}).") from error
    return checked(content.decode("ascii", "replace").strip(), f"The key file {file}")


def _check_mode(file: Path, status: os.stat_result) -> None:
    """Raises: KeyFileError if others can read or change the file."""
    if status.st_uid != os.geteuid():
        raise KeyFileError(f"The key file {file} belongs to another user: create your own.")
    if status.st_mode & SHARED:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise KeyFileError(
            f"Other users can use the key file {file}, whose mode is {mode}: run `chmod 600 {file}`."
        )
