"""Repeats a task in its own thread, also after errors."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)


class Periodic:
    """Calls `work` every `seconds` seconds while entered, and again immediately if it returns True."""

    def __init__(self, name: str, work: Callable[[], bool], seconds: float) -> None:
        self._work, self._seconds = work, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        more = False
        while not self._stopped.wait(0 if more else self._seconds):
            try:
                more = self._work()
            except SQLAlchemyError as error:
                more = False
                log.warning("the task %s failed: %s", self._thread.name, error)
            except Exception:  # for example a full disk; the thread must continue
                more = False
                log.exception("the task %s failed", self._thread.name)
