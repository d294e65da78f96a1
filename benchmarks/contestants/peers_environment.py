"""The environment that TransformerLens and nnsight have for themselves."""

import subprocess
import sys
from pathlib import Path

from benchmarks.paths import BUILT

PINS = ("torch==2.13.0", "transformers==5.23.0", "transformer-lens==4.3.0", "nnsight==0.8.1")
_FOLDER = BUILT / "venv-peers"


class NotInstalled(Exception):
    """The peers are not here; the message says why."""


def ensure_peers() -> str:
    """The peers' Python; installed now if it isn't there.

    Raises: NotInstalled.
    """
    python, done = _FOLDER / "bin" / "python", _FOLDER / "installed"
    wanted = "\n".join(PINS)
    if done.is_file() and done.read_text() == wanted:
        return str(python)
    print(f"installing {', '.join(PINS)} into their own environment …", flush=True)
    _run(sys.executable, "-m", "venv", str(_FOLDER))
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1")
    _run(*pip, *PINS)
    done.write_text(wanted)
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstalled(
            f"`{Path(command[0]).name} {' '.join(command[1:4])}` failed: {' '.join(said[-1:])}"
        )
