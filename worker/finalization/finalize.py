"""Finalizes a job: computes the statistics of its layers from its texts, once, in ordinal order."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Result, insert, select
from sqlalchemy.orm import Session, sessionmaker

from app.db import UNAVAILABLE
from app.errors import DiskFull, NoStatistics, NoTextSucceeded
from app.jobs import completion
from app.logs import about
from app.tables import (
    Job,
    StoredProfile,
    Text,
    first_token,
    layer_profile,
    massive_string,
    massive_tokens,
    text_lengths,
)
from worker.finalization.lengths import length_rows
from worker.finalization.statistics import estimators_of, statistics_of
from worker.finalization.stored_texts import texts_by_domain, write_comparisons
from worker.runtime.postponed import PostponedJobs
from worker.runtime.shutdown import ShutdownDeadline

FINALIZATION_ATTEMPTS = 9  # as many as a shard has
TOO_MANY_ATTEMPTS = f"{FINALIZATION_ATTEMPTS} processes died or lost the database while computing them"
NEVER_STOPPING = ShutdownDeadline(threading.Event(), seconds=0)
ROWS_AT_A_TIME = 256

log = logging.getLogger(__name__)


def _unobserved(_: Job) -> AbstractContextManager[None]:
    return nullcontext()


def finalize_jobs(
    sessions: sessionmaker[Session],
    model: str,
    deadline: ShutdownDeadline = NEVER_STOPPING,
    observed: Callable[[Job], AbstractContextManager[None]] = _unobserved,
    postponed: PostponedJobs | None = None,
) -> None:
    """Finalize every job of a model that has no open shard left, was cancelled, or was marked as failed.

    A process that was asked to stop starts no finalization: other processes do it. `observed` is entered for
    each attempt to finalize a job. `postponed`: jobs for which the disk was full, from earlier calls.
    """
    postponed = postponed or PostponedJobs()
    while not deadline.stopping.is_set():
        with sessions.begin() as session:
            job = completion.next_to_finalize(session, model, postponed.ids())
            if job is None:
                return
            with about(job=str(job.id)), observed(job):
                if _begin(sessions, job.id) > FINALIZATION_ATTEMPTS:
                    _finalize_without_statistics(session, job, TOO_MANY_ATTEMPTS)
                    continue
                with deadline.guard(partial(_abandon, sessions, job.id)):
                    _try_to_finalize(sessions, session, job, postponed)


def _begin(sessions: sessionmaker[Session], job_id: UUID) -> int:
    """Count the attempt in its own transaction, so that it stays counted if this process dies."""
    with sessions.begin() as session:
        return completion.begin(session, job_id)


def _try_to_finalize(
    sessions: sessionmaker[Session], session: Session, job: Job, postponed: PostponedJobs
) -> None:
    try:
        with session.begin_nested():
            finalize(session, job)
    except DiskFull as error:
        log.warning("the job is not finalized yet: %s", error)
        postponed.add(job.id)
        _abandon(sessions, job.id)
    except UNAVAILABLE as error:
        if _is_temporary(error):
            with suppress(*UNAVAILABLE):
                _abandon(sessions, job.id)
        raise
    except Exception as error:
        log.exception("the job could not be finalized")
        _finalize_without_statistics(session, job, completion.reason(error))


def _is_temporary(error: Exception) -> bool:
    """Whether the cause is the state of the server (disk full, no connection, restart), not the statement.

    Source: PostgreSQL's error codes, classes 53 and 57P.
    """
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return state.startswith(("53", "57P"))


def _abandon(sessions: sessionmaker[Session], job_id: UUID) -> None:
    with sessions.begin() as session:
        completion.abandon(session, job_id)


def finalize(session: Session, job: Job) -> None:
    """Write the statistics of the measured texts and the job's outcome, in the caller's transaction.

    A request that cancels or deletes the job meanwhile waits only for the writing, not for the computation.
    """
    texts = texts_by_domain(session, job)
    with _measured(session, job) as measured:
        found = statistics_of(job, measured, texts)
    lengths = length_rows(session, job)
    if not completion.lock(session, job):
        return
    if found.layers:
        session.execute(insert(layer_profile), found.layers)
        session.execute(insert(first_token), found.first_tokens)
        more = (massive_tokens, found.massive), (massive_string, found.strings), (text_lengths, lengths)
        for table, rows in more:
            if rows:
                session.execute(insert(table), rows)
    elif job.cancel_requested_at is None:
        job.error = job.error or _nothing_succeeded(session, job).problem.to_dict()
    write_comparisons(session, job, found.comparisons)
    job.estimators = estimators_of(job)
    completion.finish(session, job)


def _finalize_without_statistics(session: Session, job: Job, why: str) -> None:
    if completion.lock(session, job):
        detail = f"The texts' values are stored, but their statistics could not be computed: {why}"
        job.error = NoStatistics(detail).problem.to_dict()
        completion.finish(session, job)


def _nothing_succeeded(session: Session, job: Job) -> NoTextSucceeded:
    first = (
        select(StoredProfile.error)
        .where(StoredProfile.job_id == job.id)
        .order_by(StoredProfile.ordinal)
        .limit(1)
    )
    detail = (
        f"None of the {job.texts} texts could be profiled. The error of the first: {session.scalar(first)}"
    )
    return NoTextSucceeded(detail)


def _measured(session: Session, job: Job) -> Result[Any]:
    """The texts that were measured, in ordinal order, never all in memory."""
    profile = StoredProfile
    columns = (
        *(profile.ordinal, Text.domain, profile.tokens, profile.values, profile.analysis),
        *(profile.massive, profile.massive_strings, profile.square_norms),
    )
    return session.execute(
        select(*columns)
        .join(Text, (Text.job_id == profile.job_id) & (Text.ordinal == profile.ordinal))
        .where(profile.job_id == job.id, profile.values.is_not(None))
        .order_by(profile.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
