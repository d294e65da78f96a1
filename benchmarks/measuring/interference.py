"""Repeats a run while other programs use the processors, within a time budget.

Two threads that wait for each other both stop when one of them loses its processor. Another program can
therefore slow a run down by far more than its own share of the processors.
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
_MAX_INTERFERENCE = 0.04  # share of the processors that other programs may use during a run
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Run:
    """The times of one run in seconds, and the interference during it."""

    wall: float
    processor: float  # all threads together
    others: float = 0.0  # share of all processors that other programs used; 0 if it is unknown


class RepeatBudget:
    """The total time that may be spent on waiting for an idle machine and on repeating disturbed runs."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def measure(self, execute: Callable[[], Run]) -> Run:
        """The first undisturbed run, or the least disturbed run when the budget is used up."""
        best: Run | None = None
        while True:
            self._wait_until_idle()
            start, busy = time.perf_counter(), _busy_seconds()
            run = execute()
            elapsed = time.perf_counter() - start
            others = max(0.0, _busy_seconds() - busy - run.processor) / (elapsed * _CORES)
            if best is None or others < best.others:
                best = Run(run.wall, run.processor, others)
            if best.others <= _MAX_INTERFERENCE or self._left <= 0:
                return best
            self._left -= elapsed

    def _wait_until_idle(self) -> None:
        while self._left > 0:
            busy = _busy_seconds()
            time.sleep(_POLL_SECONDS)
            self._left -= _POLL_SECONDS
            if (_busy_seconds() - busy) / (_POLL_SECONDS * _CORES) <= 2 * _MAX_INTERFERENCE:
                return


def interference_note(runs: Sequence[Run]) -> str:
    """A sentence for the log: the share of the processors that other programs used during these runs."""
    others = spread([100 * run.others for run in runs])
    return f"Other programs used {others:.0f} % of the processors during these runs."


def _busy_seconds() -> float:
    """Processor seconds that all programs have used since the machine started; 0 without /proc."""
    if not _STAT.exists():
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, _STAT.read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICK
