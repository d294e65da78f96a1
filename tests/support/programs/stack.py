"""Runs the complete product, started by its own command."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.resources import ROOT
from tests.support.programs.processes import RunningStack

SHORT_TIMES = {"LAYERSCOPE_LEASE_SECONDS": "4", "LAYERSCOPE_SWEEP_SECONDS": "1"}
START_SECONDS, STOP_SECONDS = 90, 60


@contextmanager
def running_stack(folder: Path, settings: Mapping[str, str]) -> Iterator[RunningStack]:
    """`layerscope up` on a free port with a home in this folder; `settings` are environment variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAYERSCOPE_")}
    environment |= {"LAYERSCOPE_HOME": str(folder / "home"), **settings}
    command = (sys.executable, "-m", "app.cli", "up", "--port", "0")
    output = folder / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        yield RunningStack(_address(process, output), folder / "home", process, output)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    give_up = time.monotonic() + START_SECONDS
    while not (said := re.search(r"ready at (http://\S+)", output.read_text())):
        if process.poll() is not None or time.monotonic() > give_up:
            pytest.fail(f"layerscope up is not ready:\n{output.read_text()}")
        time.sleep(0.05)
    return said[1]
