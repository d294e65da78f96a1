"""The memory of other processes, sampled while they work."""

import threading
from collections.abc import Callable
from contextlib import suppress

import psutil

from app.local.postgres import NAME

MEGABYTE = 10**6
SAMPLE_SECONDS = 0.02


def resident_memory(process: psutil.Process) -> Callable[[], int]:
    """A function that returns the resident memory of the process in bytes."""
    return lambda: int(process.memory_info().rss)


def session_memory(postmaster: psutil.Process) -> Callable[[], int]:
    """A function that returns the bytes of the largest PostgreSQL session, without shared buffers."""

    def largest() -> int:
        sizes = [0]
        for child in postmaster.children():
            with suppress(psutil.NoSuchProcess):  # it has ended
                if f"postgres: {NAME}" in " ".join(child.cmdline()):
                    memory = child.memory_info()
                    sizes.append(memory.rss - memory.shared)
        return max(sizes)

    return largest


class SampledMaximum:
    """The maximum of `measure` while the context is open, sampled by a thread."""

    def __init__(self, measure: Callable[[], int], seconds: float = SAMPLE_SECONDS) -> None:
        self._measure, self._seconds = measure, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.base = self.maximum = measure()

    @property
    def growth(self) -> int:
        """The maximum above the value at the start."""
        return self.maximum - self.base

    def __enter__(self) -> "SampledMaximum":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.maximum = max(self.maximum, self._measure())

    def _sample(self) -> None:
        while not self._stop.wait(self._seconds):
            self.maximum = max(self.maximum, self._measure())
