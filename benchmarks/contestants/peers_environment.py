"""The virtual environment of TransformerLens and nnsight."""

import subprocess
import sys
from pathlib import Path

from benchmarks.paths import BUILT

PINS = ("torch==2.13.0", "transformers==5.23.0", "transformer-lens==4.3.0", "nnsight==0.8.1")
_FOLDER = BUILT / "venv-peers"


class PeersNotInstalled(Exception):
    """The environment could not be installed. The message gives the reason."""


def ensure_peers() -> str:
    """The Python interpreter of the environment. It is installed if it does not exist or has other versions.

    Raises:
        PeersNotInstalled: a command failed, for example without network access.
    """
    python, done = _FOLDER / "bin" / "python", _FOLDER / "installed"
    pins = "\n".join(PINS)
    if done.is_file() and done.read_text() == pins:
        return str(python)
    print(f"installing {', '.join(PINS)} into a separate environment …", flush=True)
    _run(sys.executable, "-m", "venv", str(_FOLDER))
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1")
    _run(*pip, *PINS)
    done.write_text(pins)
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PeersNotInstalled(
            f"`{Path(command[0]).name} {' '.join(command[1:4])}` failed: {' '.join(errors[-1:])}"
        )
