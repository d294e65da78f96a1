"""The function that a notification runs.

A forward pass never runs inside a transaction. A shard is claimed in one transaction, its texts are read in
another, and its results are committed in a third that checks the claim.
"""

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress

from redis import RedisError

from app.db import UNAVAILABLE
from app.errors import ShardFailed
from app.jobs import completion, notifications, shards
from app.jobs.shards import Claim, Fenced, TextResult
from app.logs import about
from app.tables import Job
from layerscope.names import Phase
from worker.finalization.finalize import finalize_jobs
from worker.measurement.shard import DEVICE_LOST, measure, new_work
from worker.measurement.text_rows import ONE_BY_ONE_FROM_ATTEMPT
from worker.observation.attempt import Attempt, End
from worker.observation.step_times import Step
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease, Stopped
from worker.runtime.reporting import reporting

COMMIT_RETRY_SECONDS = (0.1, 0.5, 1, 2, 5)
LAST_ATTEMPT = ONE_BY_ONE_FROM_ATTEMPT  # an error that still occurs then is not caused by one of the texts

log = logging.getLogger(__name__)


_context: WorkerContext | None = None


def set_context(context: WorkerContext) -> None:
    """Set this process's context: RQ calls `drain` by its name, which has to find the model from here."""
    global _context
    _context = context


def drain(model: str) -> None:
    """Measure shards of a model one after the other, until none is free or the time slice is over."""
    context = _context
    if context is None or context.name != model:
        raise RuntimeError(f"this process does not hold the model {model!r}")
    try:
        _drain(context, until=time.monotonic() + context.drain_seconds)
    except UNAVAILABLE as error:
        log.warning("the database is unavailable; the next sweep will notify again: %s", error)


def _drain(context: WorkerContext, until: float) -> None:
    while time.monotonic() < until and not context.deadline.stopping.is_set():
        _finalize(context, context.name)
        if context.deadline.stopping.is_set():  # finalizing a job may take long
            break
        claim = _claim(context)
        if claim is None:
            _fail_jobs_of_another_model(context)
            _finalize_jobs_without_workers(context)
            return
        with about(job=str(claim.job_id), shard=claim.number, epoch=claim.epoch):
            _work(context, claim)
    _finalize(context, context.name)
    notifications.notify(context.redis, context.name)


def _finalize(context: WorkerContext, model: str) -> None:
    finalize_jobs(
        context.sessions, model, context.deadline, context.observation.finalization, context.postponed
    )


def _claim(context: WorkerContext) -> Claim | None:
    with context.sessions.begin() as session:
        return shards.claim(session, context.name, context.lease_seconds, context.measured_with)


def _fail_jobs_of_another_model(context: WorkerContext) -> None:
    """Then the next notification finalizes them."""
    with context.sessions.begin() as session:
        completion.fail_without_their_model(
            session, context.name, context.measured_with, context.model_wait_seconds
        )


def _finalize_jobs_without_workers(context: WorkerContext) -> None:
    """For example a cancelled job whose model is no longer configured: it needs no model any more."""
    with context.sessions.begin() as session:
        due = set(shards.models_with_due_jobs(session))
    if not due:
        return
    with suppress(RedisError):  # the next sweep notifies again
        for model in due - notifications.models_served(context.redis):
            _finalize(context, model)


def _work(context: WorkerContext, claim: Claim) -> None:
    with context.observation.attempt(claim) as attempt:
        _attempt(context, claim, attempt)


def _attempt(context: WorkerContext, claim: Claim, attempt: Attempt) -> None:
    try:
        with context.sessions.begin() as session:
            texts = shards.texts(session, claim)
        work = new_work(context, claim, texts, attempt.times)
        with reporting(context.redis, claim, work.report):
            with Lease(context, claim) as lease:
                notifications.notify(context.redis, context.name)  # another worker may be free
                measured = measure(context, claim, texts, lease, work)
            work.phase = Phase.COMMITTING
            attempt.times.enter(Step.COMMIT)
            _commit(context, claim, measured)
            attempt.commit(measured)
    except Stopped:
        attempt.end = End.STOPPED
        with context.sessions.begin() as session:
            shards.release(session, claim)
    except Fenced:
        attempt.end = End.FENCED
        log.warning("the lease was lost to another worker or the job ended: the result is discarded")
    except UNAVAILABLE:
        attempt.end = End.UNAVAILABLE
        raise
    except DEVICE_LOST:
        log.exception("this process can no longer use its device: it exits")
        os._exit(1)  # RQ would catch a SystemExit
    except Exception as error:
        log.exception("the shard failed")
        with context.sessions.begin() as session:
            shards.give_back(session, claim)
            if claim.attempt >= LAST_ATTEMPT:
                completion.mark_failed(session, Job.id == claim.job_id, _shard_failed(claim, error))


def _shard_failed(claim: Claim, error: Exception) -> ShardFailed:
    detail = (
        f"Texts {claim.first_ordinal} to {claim.end_ordinal - 1} could not be measured and stored"
        f" in {claim.attempt} attempts; the last error: {completion.reason(error)}"
    )
    return ShardFailed(detail)


def _commit(context: WorkerContext, claim: Claim, measured: Sequence[TextResult]) -> None:
    """Commit; after a lost connection try again, as the shard's row shows whether the first try succeeded."""
    for wait in COMMIT_RETRY_SECONDS:
        try:
            with context.sessions.begin() as session:
                return shards.commit(session, claim, measured)
        except UNAVAILABLE as error:
            log.warning("the commit failed; the next try is in %s s: %s", wait, error)
            time.sleep(wait)
    with context.sessions.begin() as session:
        return shards.commit(session, claim, measured)
