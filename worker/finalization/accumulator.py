"""Accumulates the texts of one domain, some at a time; its memory does not grow with their number."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.tables import Job
from layerscope.arrays import Array
from layerscope.names import (
    ANALYSIS_PLACE,
    METRICS,
    RANK_COLUMNS,
    RANKED_METRICS,
    SHARES,
    STATISTIC_COLUMNS,
    TOP_ACTIVATION_COLUMNS,
    Component,
    Metric,
    Scope,
    analysis_columns,
    metrics_of,
)
from layerscope.stats.bootstrap import BEYOND, bca_interval
from layerscope.stats.moments import Moments, Summary
from layerscope.stats.ranks import Ranks, TextGroups
from layerscope.stats.token_share import FirstTokenShares
from layerscope.values import ANALYSIS_NUMBERS, select_metrics
from worker.finalization.massive_counts import MassiveTokens
from worker.finalization.top_activations import top_activations_of

StatisticsRow = dict[str, Any]
RANKED = [METRICS.index(metric) for metric in RANKED_METRICS]
ABSOLUTE = METRICS.index(Metric.DELTA_ABS_MEAN)
ALL, FIRST = tuple(Scope).index(Scope.ALL), tuple(Scope).index(Scope.FIRST)


class TextStatistics:
    """Mean, variance, standard deviation and interval of values over texts."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.moments = Moments(shape)
        self._few: list[Array] = []  # the values of all texts, as long as they are fewer than BEYOND

    def add(self, values: Array) -> None:
        """(n, *shape): the values of n ≥ 1 texts."""
        self.moments.add(values)
        self._few.extend(values[: BEYOND - len(self._few)])

    def table(self, summary: Summary) -> Array:
        """(..., 5): mean, variance, deviation, interval of each value; nan if there is none."""
        low, high = summary.ci_low, summary.ci_high
        if 0 < len(self._few) < BEYOND:
            resampled_low, resampled_high = bca_interval(np.stack(self._few))
            low = np.where(np.isnan(resampled_low), low, resampled_low)
            high = np.where(np.isnan(resampled_high), high, resampled_high)
        return np.stack([summary.mean, summary.var, summary.std, low, high], axis=-1)


class Accumulator:
    """The sums from which the rows of a domain are computed.

    `shape`: the shape of the values of a text, (C, S, L, M).
    """

    def __init__(self, job: Job, shape: tuple[int, ...]) -> None:
        self._job, self.layers = job, shape[2]
        self.statistics = TextStatistics(shape)
        self.groups = TextGroups((*shape[:-1], len(RANKED_METRICS)))
        self.shares = FirstTokenShares((shape[0], shape[2]))
        self.texts = dict.fromkeys(job.scopes, 0)
        self.tokens = dict.fromkeys(job.scopes, 0)
        self.massive_tokens = MassiveTokens(self.layers)
        self.analysis_statistics = TextStatistics((self.layers, len(metrics_of(job.analyses))))
        self.analyses: dict[int, Array] = {}  # by ordinal; as many as the job's options allow

    def add(self, values: Array, tokens: NDArray[np.int64], untypical: NDArray[np.int64]) -> None:
        """n ≥ 1 texts: (n, C, S, L, M), their numbers of tokens, and of those outside the scope `typical`."""
        self.statistics.add(values)
        self.groups.add(values[..., RANKED])
        self.shares.add(
            values[:, :, ALL, :, ABSOLUTE], values[:, :, FIRST, :, ABSOLUTE], tokens.astype(float)
        )
        in_scope = (tokens, tokens - 1, np.ones_like(tokens), tokens - untypical)
        for scope, counts in zip(self._job.scopes, in_scope, strict=False):  # older jobs have no `typical`
            self.texts[scope] += int((counts > 0).sum())
            self.tokens[scope] += int(counts.sum())

    def add_analysis(self, ordinal: int, analysis: Array) -> None:
        """(L, ANALYSIS_NUMBERS)."""
        self.analyses[ordinal] = analysis
        self.analysis_statistics.add(select_metrics(analysis, metrics_of(self._job.analyses))[None])

    def analysed_values(self) -> Array:
        """(n, L, M) of the requested metrics."""
        whole = np.empty((len(self.analyses), self.layers, ANALYSIS_NUMBERS))
        for i, analysis in enumerate(self.analyses.values()):
            whole[i] = analysis
        return select_metrics(whole, metrics_of(self._job.analyses))

    def rows(self, domain: str, summary: Summary) -> Iterator[StatisticsRow]:
        """A row of `layer_profile` for each component, scope and layer."""
        statistics = self.statistics.table(summary)
        ranks = _ranks(self.groups.ranks())
        analysed = list(self._analysed_rows())
        for c, component in enumerate(self._job.options["components"]):
            for s, scope in enumerate(self._job.scopes):
                for layer in range(self.layers):
                    has_analysis = (scope, component) == ANALYSIS_PLACE
                    yield {
                        "job_id": self._job.id,
                        "domain": domain,
                        "scope": scope,
                        "component": component,
                        "layer": layer,
                        "texts": self.texts[scope],
                        "tokens": self.tokens[scope],
                        **_columns(STATISTIC_COLUMNS, statistics[c, s, layer]),
                        **_columns(RANK_COLUMNS, ranks[c, s, layer]),
                        **(analysed[layer] if has_analysis else dict.fromkeys(analysed[layer])),
                    }

    def _analysed_rows(self) -> Iterator[StatisticsRow]:
        """What the analyses add to the row of each layer."""
        if not (columns := analysis_columns(self._job.analyses)):
            yield from ({} for _ in range(self.layers))
            return
        for statistics in self.analysis_statistics.table(self.analysis_statistics.moments.summary()):
            yield {"analysis_texts": len(self.analyses), **_columns(columns[1:], statistics)}

    def first_token_rows(self, domain: str) -> Iterator[StatisticsRow]:
        """A row of `first_token` for each component and layer."""
        share = self.shares.share()
        shares = np.stack([share.mean, share.variance], axis=-1)  # (C, L, 2)
        top = list(self._top_activation_rows())
        for c, component in enumerate(self._job.options["components"]):
            for layer in range(self.layers):
                yield {
                    "job_id": self._job.id,
                    "domain": domain,
                    "component": component,
                    "layer": layer,
                    "texts": self.shares.texts,
                    **_columns(SHARES, shares[c, layer]),
                    **(top[layer] if component == Component.BLOCK else dict.fromkeys(top[layer])),
                }

    def _top_activation_rows(self) -> Iterator[StatisticsRow]:
        """The largest activations that leave each layer, if the job requested an analysis."""
        requested = {"analysis_texts": len(self.analyses)} if self._job.analyses else {}
        if not self.analyses:
            yield from (
                {**requested, **dict.fromkeys(TOP_ACTIVATION_COLUMNS if requested else ())}
                for _ in range(self.layers)
            )
            return
        for top in top_activations_of(np.stack(list(self.analyses.values()))):
            yield {**requested, **_columns(TOP_ACTIVATION_COLUMNS, np.array(top))}


def _ranks(ranks: Ranks) -> Array:
    """(C, S, L, M, 3): rank and its interval, of each ranked metric."""
    return np.stack([ranks.rank, ranks.ci_low, ranks.ci_high], axis=-1)


def _columns(names: Sequence[str], statistics: Array) -> dict[str, float | None]:
    """The statistics of one row by column, nan becomes null."""
    values = (None if np.isnan(value) else float(value) for value in statistics.flat)
    return dict(zip(names, values, strict=True))
