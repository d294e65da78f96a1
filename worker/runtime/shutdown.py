"""The shutdown deadline: how long current work may delay a process that was asked to stop."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from app.logs import in_context

TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShutdownDeadline:
    """The first stop signal sets `stopping`. Then no new work starts, and current work has `seconds`."""

    stopping: threading.Event
    seconds: float

    @contextmanager
    def guard(self, abandon: Callable[[], None]) -> Iterator[None]:
        """Guards uninterruptible work: after the deadline `abandon` is called and the process exits."""
        done = threading.Event()
        watch_in_context = in_context(partial(self._watch, done, abandon))
        watch = threading.Thread(target=watch_in_context, name="deadline", daemon=True)
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
            log.warning("stopping takes longer than %g s: the current work is abandoned", self.seconds)
            try:
                abandon()
            except Exception as error:
                log.warning("the current work could not be abandoned: %s", error)
                if done.is_set():  # the work has ended meanwhile
                    return
            os._exit(0)
