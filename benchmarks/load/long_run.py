"""The start of a benchmark that puts load on the service for minutes or hours."""

import argparse
import signal
import sys

from benchmarks.contestants.contestant_process import Entry
from benchmarks.contestants.registry import ALL_COMPONENTS
from benchmarks.inputs.shapes import SHAPES, ensure_model
from benchmarks.measuring import hardware
from benchmarks.paths import BUILT

SHAPE, DTYPE = "d64", "float32"


def start(module: str, description: str | None, minutes: int) -> tuple[Entry, int]:
    """Reads the command line and prints the machine. `minutes`: the default.

    Returns: the model that the workers use, and the minutes.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--minutes", type=int, default=minutes)
    minutes = parser.parse_args().minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the service ends with this process
    print(f"{hardware.processor()}; commit {hardware.commit()}; {hardware.load()}; {minutes} min", flush=True)
    folder = ensure_model(SHAPES[SHAPE], BUILT / "models")
    return Entry(ALL_COMPONENTS, folder, DTYPE, "cpu"), minutes
