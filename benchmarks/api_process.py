"""The API as a process of its own, and how much memory processes take meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psutil

from app.local.programs import NAME
from app.local.stack import address_of, api_command, is_ready, listen
from app.local.supervisor import Child
from app.settings import Settings

READY_SECONDS = 60
MEGABYTE = 10**6


@contextmanager
def api_process(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`layerscope api` on a free port: its address and its process."""
    with listen("127.0.0.1", 0) as listener:
        command = api_command(settings, listener)
        own = {"LAYERSCOPE_HOME": str(settings.home), "LAYERSCOPE_MODELS": str(settings.models)}
        child = Child(replace(command, environment={**(command.environment or {}), **own}))
        try:
            url, give_up = address_of(listener), time.monotonic() + READY_SECONDS
            while not is_ready(url):
                if not child.is_alive() or time.monotonic() > give_up:
                    raise RuntimeError("the API is not ready")
                time.sleep(0.1)
            yield url, psutil.Process(child.process.pid)
        finally:
            child.stop()


def resident(process: psutil.Process) -> Callable[[], int]:
    return lambda: int(process.memory_info().rss)


def own_memory_of_sessions(postmaster: psutil.Process) -> Callable[[], int]:
    """What the largest of PostgreSQL's sessions has beside the buffers that all its processes share."""

    def largest() -> int:
        sizes = [0]
        for child in postmaster.children():
            with suppress(psutil.NoSuchProcess):  # it has ended
                if f"postgres: {NAME}" in " ".join(child.cmdline()):
                    memory = child.memory_info()
                    sizes.append(memory.rss - memory.shared)
        return max(sizes)

    return largest


class Most:
    """The most that `measure` has given while entered, asked every so many seconds."""

    def __init__(self, measure: Callable[[], int], seconds: float = 0.02) -> None:
        self._measure, self._seconds = measure, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.base = self.most = measure()

    @property
    def growth(self) -> int:
        return self.most - self.base

    def __enter__(self) -> "Most":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.most = max(self.most, self._measure())

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self.most = max(self.most, self._measure())
