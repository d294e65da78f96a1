"""How long what is in hand may keep a process that was asked to stop."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShutdownDeadline:
    """`stopping` is set by the first stop signal; what is in hand then has `seconds`, nothing is begun."""

    stopping: threading.Event
    seconds: float

    @contextmanager
    def hold(self, abandon: Callable[[], None]) -> Iterator[None]:
        """What runs inside can't be interrupted: if it takes too long, the process puts it down and ends."""
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done, abandon), name="deadline", daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event, abandon: Callable[[], None]) -> None:
        while not done.wait(TICK_SECONDS):
            if self.stopping.is_set():
                break
        if not done.wait(self.seconds):
            log.warning("stopping takes longer than %g s: what is in hand is given back", self.seconds)
            try:
                abandon()
            except Exception as error:
                log.warning("it could not be given back: %s", error)
                if done.is_set():  # it came to its end meanwhile
                    return
            os._exit(0)
