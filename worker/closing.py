"""The end of a job: from the rows of its texts to the statistics of its layers, once, in ordinal order."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select
from sqlalchemy.orm import Session, sessionmaker

from app import jobs, shards
from app.tables import Job, Text, TextProfile, first_token, layer_profile
from app.vocabulary import METRICS, POOLED_DOMAIN, SCOPES
from worker.analysis import ESTIMATORS
from worker.comparing import compare_domains
from worker.pool import Pool

Values = NDArray[np.float64]
ROWS_AT_A_TIME = 256


def close_jobs(sessions: sessionmaker[Session], model: str) -> None:
    """Close every job of a model that has no open shard left or whose end was asked for."""
    while True:
        with sessions.begin() as session:
            job = shards.next_to_close(session, model)
            if job is None:
                return
            close(session, job, problem=None)


def close(session: Session, job: Job, problem: dict[str, Any] | None) -> None:
    """Write the statistics of what was measured, and the job's outcome, in the caller's transaction."""
    domains = _pool(session, job)
    summaries = {domain: pool.moments.summary() for domain, pool in sorted(domains.items())}
    for domain, summary in summaries.items():
        session.execute(insert(layer_profile), list(domains[domain].rows(job, domain, summary)))
        session.execute(insert(first_token), list(domains[domain].first_token_rows(job, domain)))
    compare_domains(session, job, summaries)
    job.estimators = {**ESTIMATORS}
    if problem is None and not domains:
        problem = _nothing_succeeded(session, job)
    finished_at = jobs.now(session)
    if job.cancel_requested_at is not None:
        job.outcome = "cancelled"
    elif problem is not None:
        job.outcome, job.error = "failed", problem
    else:
        job.outcome = "succeeded"
    job.finished_at = finished_at


def fail_jobs(sessions: sessionmaker[Session], model: str, detail: str) -> None:
    """Fail the unfinished jobs of a model that can't be loaded; what was committed of them is kept."""
    problem = {
        "type": "urn:layerscope:problem:model-unavailable",
        "title": "The model can't be loaded",
        "status": 503,
        "detail": detail,
    }
    with sessions.begin() as session:
        for job in shards.unfinished_jobs(session, model):
            close(session, job, problem)


def _nothing_succeeded(session: Session, job: Job) -> dict[str, Any]:
    first = (
        select(TextProfile.error).where(TextProfile.job_id == job.id).order_by(TextProfile.ordinal).limit(1)
    )
    detail = f"None of the {job.texts} texts could be profiled; the first: {session.scalar(first)}"
    return {
        "type": "urn:layerscope:problem:no-text-succeeded",
        "title": "No text succeeded",
        "detail": detail,
    }


def _pool(session: Session, job: Job) -> dict[str, Pool]:
    pools: dict[str, Pool] = {}
    for domain, tokens, values in _measured(session, job):
        for name in (domain, POOLED_DOMAIN):
            if name not in pools:
                pools[name] = Pool(values.shape)
            pools[name].add(values, tokens)
    return pools


def _measured(session: Session, job: Job) -> Iterator[tuple[str, int, Values]]:
    """(domain, tokens, values) of each text that succeeded, in ordinal order, never all in memory."""
    statement = (
        select(Text.domain, TextProfile.tokens, TextProfile.values)
        .join(Text, (Text.job_id == TextProfile.job_id) & (Text.ordinal == TextProfile.ordinal))
        .where(TextProfile.job_id == job.id, TextProfile.values.is_not(None))
        .order_by(TextProfile.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    shape = (len(job.options["components"]), len(SCOPES), -1, len(METRICS))
    for row in session.execute(statement):
        yield row.domain, row.tokens, np.frombuffer(row.values, "<f8").reshape(shape)
