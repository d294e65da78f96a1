"""What a message makes a worker do. Beside `closing`, the only file of the worker that knows SQL.

A forward pass never runs inside a transaction: a shard is claimed in one, read in another, measured,
and committed in a third that checks the claim.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app import queue, shards
from app.db import AWAY
from app.shards import Claim, Fenced, Measured
from worker.closing import close_jobs
from worker.core import Model, TextProfile, profile_texts

ISOLATE_FROM_ATTEMPT = 3  # a shard that failed twice is measured text by text
COMMIT_RETRY_SECONDS = (0.1, 0.5, 1, 2, 5)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """What a worker process has at hand: one model, its connections, its patience."""

    name: str
    model: Model
    measured_with: dict[str, Any]
    max_tokens: int
    sessions: sessionmaker[Session]
    redis: Redis
    stopping: threading.Event
    lease_seconds: float
    drain_seconds: float


_station: Station | None = None


def occupy(station: Station) -> None:
    """Make `station` this process's: RQ calls `drain` by its name, so the model has to be found from here."""
    global _station
    _station = station


def drain(model: str) -> None:
    """Measure shards of a model, one after the other, until none is free or the slice of time is over."""
    station = _station
    if station is None or station.name != model:
        raise RuntimeError(f"this process does not hold the model {model!r}")
    try:
        _drain(station, until=time.monotonic() + station.drain_seconds)
    except AWAY as error:
        log.warning("the database is away, the sweep will ring again: %s", error)


def _drain(station: Station, until: float) -> None:
    while time.monotonic() < until and not station.stopping.is_set():
        close_jobs(station.sessions, station.name)
        claim = _claim(station)
        if claim is None:
            return
        queue.ring(station.redis, station.name)  # another worker may be free
        _work(station, claim)
    close_jobs(station.sessions, station.name)
    queue.ring(station.redis, station.name)


def _claim(station: Station) -> Claim | None:
    with station.sessions.begin() as session:
        return shards.claim(session, station.name, station.lease_seconds, station.measured_with)


def _work(station: Station, claim: Claim) -> None:
    with station.sessions.begin() as session:
        texts = shards.texts(session, claim)
    try:
        with Lease(station, claim) as lease:
            measured = list(_measure(station, claim, texts, lease))
        _commit(station, claim, measured)
    except Stopped:
        with station.sessions.begin() as session:
            shards.release(session, claim)
    except Fenced:
        log.warning("shard %s/%d is no longer ours, its result is thrown away", claim.job_id, claim.number)
    except AWAY:
        raise
    except Exception:
        log.exception("shard %s/%d failed at attempt %d", claim.job_id, claim.number, claim.attempt)
        with station.sessions.begin() as session:
            shards.give_back(session, claim)


class Stopped(Exception):
    """The process has to end before the shard is measured."""


def _measure(
    station: Station, claim: Claim, texts: Sequence[tuple[str, str]], lease: "Lease"
) -> Iterator[Measured]:
    domains = [domain for domain, _ in texts]
    for text in _profiles(station, claim, [text for _, text in texts]):
        lease.check()
        if station.stopping.is_set():
            raise Stopped
        values = text.values.astype("<f8").tobytes() if text.error is None else None
        yield Measured(
            ordinal=claim.first_ordinal + text.ordinal,
            domain=domains[text.ordinal],
            tokens=text.tokens,
            truncated=text.truncated,
            error=text.error,
            values=values,
        )


def _profiles(station: Station, claim: Claim, texts: list[str]) -> Iterator[TextProfile]:
    options = {
        "max_tokens": min(claim.options["max_tokens"] or station.max_tokens, station.max_tokens),
        "overflow": claim.options["overflow"],
        "components": claim.options["components"],
    }
    if claim.attempt < ISOLATE_FROM_ATTEMPT:
        yield from profile_texts(station.model, texts, **options)
        return
    for ordinal, text in enumerate(texts):
        yield _alone(station.model, ordinal, text, options)


def _alone(model: Model, ordinal: int, text: str, options: dict[str, Any]) -> TextProfile:
    try:
        (profile,) = profile_texts(model, [text], **options)
    except Exception as error:
        log.exception("text %d of a shard can't be measured", ordinal)
        values = np.full((0, 0, 0, 0), np.nan)
        return TextProfile(
            ordinal, tokens=0, truncated=False, error=f"worker_crash: {type(error).__name__}", values=values
        )
    return replace(profile, ordinal=ordinal)


def _commit(station: Station, claim: Claim, measured: Sequence[Measured]) -> None:
    """Commit, again after a lost connection: whether the first try arrived, the shard's row knows."""
    for wait in COMMIT_RETRY_SECONDS:
        try:
            with station.sessions.begin() as session:
                return shards.commit(session, claim, measured)
        except AWAY as error:
            log.warning("could not commit, trying again in %s s: %s", wait, error)
            time.sleep(wait)
    with station.sessions.begin() as session:
        return shards.commit(session, claim, measured)


class Lease:
    """Renews a claim in a thread of its own while entered."""

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
        """Raises: Fenced."""
        if self._lost.is_set():
            raise Fenced

    def _keep(self) -> None:
        while not self._ended.wait(self._station.lease_seconds / 3):
            try:
                with self._station.sessions.begin() as session:
                    shards.renew(session, self._claim, self._station.lease_seconds)
            except Fenced:
                self._lost.set()
                return
            except AWAY as error:
                log.warning("could not renew a lease: %s", error)
