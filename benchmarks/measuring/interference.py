"""Measuring on a machine that others use too: how much of it they took meanwhile, and budget with them.

Two threads that wait for each other stand still when either loses its processor, so a busy neighbour can cost
far more than its share. A run that was disturbed is therefore repeated while budget lasts.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.timing import spread

_STAT = Path("/proc/stat")
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CORES = os.cpu_count() or 1
_QUIET = 0.04  # share of the processors that others may take
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Run:
    """Seconds on the wall, seconds of processor time of all threads, and what else the machine did."""

    wall: float
    processor: float
    others: float = 0.0  # share of all processors that other programs took meanwhile; 0 where unknown


class RepeatBudget:
    """So many seconds, in all, may be lost to waiting for a quiet machine and to repeating runs."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def measure(self, go: Callable[[], Run]) -> Run:
        """The first run that was not disturbed, or the least disturbed one when budget is at its end."""
        best: Run | None = None
        while True:
            self._wait()
            start, busy = time.perf_counter(), _busy_seconds()
            run = go()
            elapsed = time.perf_counter() - start
            others = max(0.0, _busy_seconds() - busy - run.processor) / (elapsed * _CORES)
            if best is None or others < best.others:
                best = Run(run.wall, run.processor, others)
            if best.others <= _QUIET or self._left <= 0:
                return best
            self._left -= elapsed

    def _wait(self) -> None:
        while self._left > 0:
            busy = _busy_seconds()
            time.sleep(_LOOK_SECONDS)
            self._left -= _LOOK_SECONDS
            if (_busy_seconds() - busy) / (_LOOK_SECONDS * _CORES) <= 2 * _QUIET:
                return


def neighbours(runs: Sequence[Run]) -> str:
    """For the log: what other programs took of the processors while these ran."""
    return f"Others took {spread([100 * run.others for run in runs]):.0f} % of the processors meanwhile."


def _busy_seconds() -> float:
    """Processor seconds that everything on the machine has used since it started; 0 where it isn't said."""
    if not _STAT.exists():
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, _STAT.read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICK
