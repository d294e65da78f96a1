"""Runs the command `layerscope` as a user does."""

import os
import subprocess
import sys
from pathlib import Path


def layerscope(
    *arguments: str, cwd: Path, stdin: bytes = b"", seconds: float = 240, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A process of its own, in `cwd`, whose parent is the home folder of the user."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LAYERSCOPE_")}
    own = {"HOME": str(cwd.parent), "XDG_CONFIG_HOME": str(cwd.parent / ".config"), "COLUMNS": "120"}
    done = subprocess.run(
        (sys.executable, "-m", "app.cli", *arguments),
        cwd=cwd,
        env=inherited | own | environment,
        input=stdin,
        capture_output=True,
        timeout=seconds,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
