"""The end of a job: from the rows of its texts to the statistics of its layers, once, in ordinal order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select
from sqlalchemy.orm import Session, sessionmaker

from app import jobs, shards
from app.tables import Job, Text, TextProfile, layer_profile
from app.vocabulary import METRICS, POOLED_DOMAIN, RANK_COLUMNS, RANKED_METRICS, SCOPES, STATISTIC_COLUMNS
from worker.analysis import BEYOND, ESTIMATORS, Ranks, TextGroups, bca_interval
from worker.comparing import compare_domains
from worker.core import Moments, Summary

Values = NDArray[np.float64]
ROWS_AT_A_TIME = 256
RANKED = [METRICS.index(metric) for metric in RANKED_METRICS]


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


class Pool:
    """The texts of one domain, summed up."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.moments = Moments(shape)
        self.groups = TextGroups((*shape[:-1], len(RANKED_METRICS)))
        self.few: list[Values] = []  # all texts' values while they are fewer than BEYOND
        self.texts = dict.fromkeys(SCOPES, 0)
        self.tokens = dict.fromkeys(SCOPES, 0)

    def add(self, values: Values, tokens: int) -> None:
        self.moments.add(values)
        self.groups.add(values[..., RANKED])
        if len(self.few) < BEYOND:
            self.few.append(values)
        for scope, in_scope in zip(SCOPES, (tokens, tokens - 1, 1), strict=True):
            self.texts[scope] += in_scope > 0
            self.tokens[scope] += in_scope

    def rows(self, job: Job, domain: str, summary: Summary) -> Iterator[dict[str, Any]]:
        """A row of `layer_profile` for each component, scope and layer."""
        statistics = self._statistics(summary)
        ranks = _ranks(self.groups.ranks())
        for c, component in enumerate(job.options["components"]):
            for s, scope in enumerate(SCOPES):
                for layer in range(statistics.shape[2]):
                    yield {
                        "job_id": job.id,
                        "domain": domain,
                        "scope": scope,
                        "component": component,
                        "layer": layer,
                        "texts": self.texts[scope],
                        "tokens": self.tokens[scope],
                        **_columns(STATISTIC_COLUMNS, statistics[c, s, layer]),
                        **_columns(RANK_COLUMNS, ranks[c, s, layer]),
                    }

    def _statistics(self, summary: Summary) -> Values:
        """(C, S, L, M, 5): mean, variance, deviation, interval of each metric; nan where there is none."""
        low, high = summary.ci_low, summary.ci_high
        if len(self.few) < BEYOND:
            resampled_low, resampled_high = bca_interval(np.stack(self.few))
            low = np.where(np.isnan(resampled_low), low, resampled_low)
            high = np.where(np.isnan(resampled_high), high, resampled_high)
        return np.stack([summary.mean, summary.var, summary.std, low, high], axis=-1)


def _ranks(ranks: Ranks) -> Values:
    """(C, S, L, M, 3): rank and its interval, of each ranked metric."""
    return np.stack([ranks.rank, ranks.ci_low, ranks.ci_high], axis=-1)


def _columns(names: Sequence[str], statistics: Values) -> dict[str, float | None]:
    """The statistics of one row by column, nan becomes null."""
    values = (None if np.isnan(value) else float(value) for value in statistics.flat)
    return dict(zip(names, values, strict=True))


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
