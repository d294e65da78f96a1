"""Keeps a claim alive while its shard is measured, in a thread with its own database connection."""

import logging
import threading
from contextlib import ExitStack

from app.db import UNAVAILABLE
from app.jobs import shards
from app.jobs.shards import Claim, Fenced
from app.logs import in_context
from worker.runtime.context import WorkerContext

RENEWAL_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 2.0  # a renewal also finds out whether the job was cancelled

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The process must stop before the shard is measured."""


class Lease:
    """Renews the claim while entered. Releases it if the process is stopping and the deadline passes."""

    def __init__(self, context: WorkerContext, claim: Claim) -> None:
        self._context, self._claim = context, claim
        self._ended, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=in_context(self._keep), name="lease", daemon=True)
        self._deadline = ExitStack()

    def __enter__(self) -> "Lease":
        self._deadline.enter_context(self._context.deadline.guard(self._release))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.close()
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """To be called between two texts. Raises: Fenced, Stopped."""
        if self._lost.is_set():
            raise Fenced
        if self._context.deadline.stopping.is_set():
            raise Stopped

    def _keep(self) -> None:
        every = min(self._context.lease_seconds / 3, LONGEST_PAUSE_SECONDS)
        while not self._ended.wait(every) and not self._lost.is_set():
            self._renew()

    def _renew(self) -> None:
        try:
            with self._context.sessions.begin() as session:
                shards.renew(session, self._claim, self._context.lease_seconds)
        except Fenced:
            self._lost.set()
        except UNAVAILABLE as error:
            log.warning("a lease could not be renewed: %s", error)

    def _release(self) -> None:
        self._ended.set()
        self._thread.join(RENEWAL_SECONDS)  # a renewal after the release would block the shard for a lease
        with self._context.sessions.begin() as session:
            shards.release(session, self._claim)
