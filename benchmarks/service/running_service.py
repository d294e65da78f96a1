"""Runs `layerscope up` with a data folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contestants.contestant_process import Entry
from benchmarks.measuring.processor_time import processor_seconds
from benchmarks.paths import BUILT, ROOT

READY_SECONDS = 120
STOP_SECONDS = 60


@dataclass(frozen=True)
class RunningService:
    url: str
    process: psutil.Process
    home: Path

    def processor_seconds(self) -> float:
        """What all processes of the service have used."""
        return processor_seconds(self.process)


@contextmanager
def running_service(
    entry: Entry, variables: Mapping[str, str] | None = None, workers: int = 1
) -> Iterator[RunningService]:
    """Starts `layerscope up` with the model of `entry` on a free port; stops it at the end.

    `variables`: further variables of its environment.

    Raises:
        RuntimeError: the service does not start within READY_SECONDS.
    """
    home = BUILT / "service"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    models = home / "models.toml"
    source = json.dumps(str(entry.folder))
    models.write_text(f'[bench]\nsource = {source}\ndtype = "{entry.dtype}"\ndevice = "{entry.device}"\n')
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", "app.cli", "up", "--port", "0", "--workers", str(workers)),
            cwd=ROOT,
            env={**_environment(home / "home", models), **(variables or {})},
            stdout=output,
            stderr=output,
        )
    try:
        address = _address(process, home / "output")
        yield RunningService(address, psutil.Process(process.pid), home / "home")
    finally:
        process.terminate()  # not SIGINT: programs that a shell starts in the background may ignore it
        process.wait(STOP_SECONDS)


def _environment(home: Path, models: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LAYERSCOPE_")}
    own = {"PYTHONPATH": str(ROOT), "LAYERSCOPE_HOME": str(home), "LAYERSCOPE_MODELS": str(models)}
    return inherited | own


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"ready at (http://\S+)", output.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"`layerscope up` is not ready:\n{output.read_text()}")
