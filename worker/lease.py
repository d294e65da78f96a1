"""A claim kept alive, by a thread with a connection of its own, while its shard is measured."""

import logging
import os
import threading
import time

from app import shards
from app.db import AWAY
from app.shards import Claim, Fenced
from worker.station import Station

TICK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 2.0  # a renewal also learns that the job was cancelled

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The process has to end before the shard is measured."""


class Lease:
    """Renews the claim in time while entered; ends the process where stopping drags on."""

    def __init__(self, station: Station, claim: Claim) -> None:
        self._station, self._claim = station, claim
        self._ended, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """To be called between two texts. Raises: Fenced, Stopped."""
        if self._lost.is_set():
            raise Fenced
        if self._station.stopping.is_set():
            raise Stopped

    def _keep(self) -> None:
        every = min(self._station.lease_seconds / 3, LONGEST_PAUSE_SECONDS)
        renew_at, leave_at = time.monotonic() + every, float("inf")
        while not self._ended.wait(min(TICK_SECONDS, every)):
            now = time.monotonic()
            if now >= leave_at:
                self._leave()
            if self._station.stopping.is_set():
                leave_at = min(leave_at, now + self._station.stop_seconds)
            if now >= renew_at and not self._lost.is_set():
                renew_at = now + every
                self._renew()

    def _renew(self) -> None:
        try:
            with self._station.sessions.begin() as session:
                shards.renew(session, self._claim, self._station.lease_seconds)
        except Fenced:
            self._lost.set()
        except AWAY as error:
            log.warning("could not renew a lease: %s", error)

    def _leave(self) -> None:
        """A forward pass can't be interrupted: give its shard back unmeasured, and go."""
        log.warning("stopping takes longer than %g s, a shard is given back", self._station.stop_seconds)
        try:
            with self._station.sessions.begin() as session:
                shards.release(session, self._claim)
        finally:
            os._exit(0)
