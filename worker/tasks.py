"""What a message makes a worker do.

A forward pass never runs inside a transaction: a shard is claimed in one, read in another, measured,
and committed in a third that checks the claim.
"""

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from app.db import AWAY
from app.jobs import completion, notifications, shards
from app.jobs.shards import Claim, Fenced, TextResult
from app.tables import Job
from worker.finalization.finalize import finalize_jobs
from worker.measurement.shard import ALONE_FROM_ATTEMPT, DEVICE_LOST, measure
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease, Stopped

COMMIT_RETRY_SECONDS = (0.1, 0.5, 1, 2, 5)
LAST_ATTEMPT = ALONE_FROM_ATTEMPT  # an error that comes even then is no text's, and comes again

log = logging.getLogger(__name__)


_context: WorkerContext | None = None


def set_context(context: WorkerContext) -> None:
    """Make `context` this process's: RQ calls `drain` by its name, so the model has to be found from here."""
    global _context
    _context = context


def drain(model: str) -> None:
    """Measure shards of a model, one after the other, until none is free or the slice of time is over."""
    context = _context
    if context is None or context.name != model:
        raise RuntimeError(f"this process does not hold the model {model!r}")
    try:
        _drain(context, until=time.monotonic() + context.drain_seconds)
    except AWAY as error:
        log.warning("the database is away, the sweep will notify again: %s", error)


def _drain(context: WorkerContext, until: float) -> None:
    while time.monotonic() < until and not context.deadline.stopping.is_set():
        finalize_jobs(context.sessions, context.name, context.deadline)
        if context.deadline.stopping.is_set():  # since a moment ago: a job may take long to close
            break
        claim = _claim(context)
        if claim is None:
            return
        _work(context, claim)
    finalize_jobs(context.sessions, context.name, context.deadline)
    notifications.notify(context.redis, context.name)


def _claim(context: WorkerContext) -> Claim | None:
    with context.sessions.begin() as session:
        return shards.claim(session, context.name, context.lease_seconds, context.measured_with)


def _work(context: WorkerContext, claim: Claim) -> None:
    try:
        with context.sessions.begin() as session:
            texts = shards.texts(session, claim)
        with Lease(context, claim) as lease:
            notifications.notify(context.redis, context.name)  # another worker may be free
            measured = measure(context, claim, texts, lease)
        _commit(context, claim, measured)
    except Stopped:
        with context.sessions.begin() as session:
            shards.release(session, claim)
    except Fenced:
        log.warning("shard %s/%d is no longer ours, its result is thrown away", claim.job_id, claim.number)
    except AWAY:
        raise
    except DEVICE_LOST:
        log.exception("the device is lost to this process, with shard %s/%d", claim.job_id, claim.number)
        os._exit(1)  # RQ would catch a SystemExit
    except Exception as error:
        log.exception("shard %s/%d failed at attempt %d", claim.job_id, claim.number, claim.attempt)
        with context.sessions.begin() as session:
            shards.give_back(session, claim)
            if claim.attempt >= LAST_ATTEMPT:
                completion.mark_failed(session, Job.id == claim.job_id, _hopeless(claim, error))


def _hopeless(claim: Claim, error: Exception) -> dict[str, Any]:
    detail = (
        f"The texts {claim.first_ordinal} to {claim.end_ordinal - 1} could not be measured and stored"
        f" in {claim.attempt} attempts; the last: {completion.reason(error)}"
    )
    return completion.problem("shard-failed", "A part of the job can't be measured", detail)


def _commit(context: WorkerContext, claim: Claim, measured: Sequence[TextResult]) -> None:
    """Commit, again after a lost connection: whether the first try arrived, the shard's row knows."""
    for wait in COMMIT_RETRY_SECONDS:
        try:
            with context.sessions.begin() as session:
                return shards.commit(session, claim, measured)
        except AWAY as error:
            log.warning("could not commit, trying again in %s s: %s", wait, error)
            time.sleep(wait)
    with context.sessions.begin() as session:
        return shards.commit(session, claim, measured)
