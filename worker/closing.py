"""The end of a job: from the rows of its texts to the statistics of its layers, once, in ordinal order."""

from typing import Any

import numpy as np
from sqlalchemy import Result, insert, select
from sqlalchemy.orm import Session, sessionmaker

from app import jobs, shards
from app.analyses import unpacked
from app.tables import Job, Text, TextProfile, first_token, layer_profile
from app.vocabulary import METRICS, POOLED_DOMAIN, SCOPES
from worker.analysing import SAMPLING
from worker.analysis import ESTIMATORS
from worker.comparing import Analysed, compare_domains, write_comparisons
from worker.pool import Pool

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
    summaries = {domain: pool.spread.moments.summary() for domain, pool in sorted(domains.items())}
    analysed = {domain: Analysed.of(pool) for domain, pool in domains.items()}
    for domain, summary in summaries.items():
        session.execute(insert(layer_profile), list(domains[domain].rows(domain, summary)))
        session.execute(insert(first_token), list(domains[domain].first_token_rows(domain)))
    write_comparisons(session, job, list(compare_domains(session, job, summaries, analysed)))
    job.estimators = ESTIMATORS | (SAMPLING if job.options.get("analyses") else {})
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
    shape = (len(job.options["components"]), len(SCOPES), -1, len(METRICS))
    for text in _measured(session, job):
        values = np.frombuffer(text.values, "<f8").reshape(shape)
        for name in (text.domain, POOLED_DOMAIN):
            if name not in pools:
                pools[name] = Pool(job, values.shape)
            pools[name].add(values, text.tokens)
            if text.analysis is not None:
                pools[name].add_analysis(text.ordinal, unpacked(text.analysis))
    return pools


def _measured(session: Session, job: Job) -> Result[Any]:
    """The texts that succeeded, in ordinal order, never all in memory."""
    profile = TextProfile
    columns = (profile.ordinal, Text.domain, profile.tokens, profile.values, profile.analysis)
    return session.execute(
        select(*columns)
        .join(Text, (Text.job_id == profile.job_id) & (Text.ordinal == profile.ordinal))
        .where(profile.job_id == job.id, profile.values.is_not(None))
        .order_by(profile.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
