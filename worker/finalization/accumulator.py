"""Accumulates the texts of one domain one by one; its memory does not grow with their number."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.tables import Job
from layerscope.names import (
    METRICS,
    RANK_COLUMNS,
    RANKED_METRICS,
    SCOPES,
    SHARES,
    STATISTIC_COLUMNS,
    TOP_ACTIVATION_COLUMNS,
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
from worker.finalization.top_activations import top_activations_of

Values = NDArray[np.float64]
StatisticsRow = dict[str, Any]
RANKED = [METRICS.index(metric) for metric in RANKED_METRICS]
ABSOLUTE = METRICS.index(Metric.DELTA_ABS_MEAN)
ALL, FIRST = SCOPES.index(Scope.ALL), SCOPES.index(Scope.FIRST)


class Spread:
    """How values differ between texts."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.moments = Moments(shape)
        self._few: list[Values] = []  # the values of all texts, as long as they are fewer than BEYOND

    def add(self, values: Values) -> None:
        self.moments.add(values)
        if len(self._few) < BEYOND:
            self._few.append(values)

    def statistics(self, summary: Summary) -> Values:
        """(..., 5): mean, variance, deviation, interval of each value; nan where there is none."""
        low, high = summary.ci_low, summary.ci_high
        if 0 < len(self._few) < BEYOND:
            resampled_low, resampled_high = bca_interval(np.stack(self._few))
            low = np.where(np.isnan(resampled_low), low, resampled_low)
            high = np.where(np.isnan(resampled_high), high, resampled_high)
        return np.stack([summary.mean, summary.var, summary.std, low, high], axis=-1)


class Accumulator:
    """The sums from which a domain's rows follow; `shape` is that of a text's values, (C, S, L, M)."""

    def __init__(self, job: Job, shape: tuple[int, ...]) -> None:
        self._job, self._layers = job, shape[2]
        self.spread = Spread(shape)
        self.groups = TextGroups((*shape[:-1], len(RANKED_METRICS)))
        self.shares = FirstTokenShares((shape[0], shape[2]))
        self.texts = dict.fromkeys(SCOPES, 0)
        self.tokens = dict.fromkeys(SCOPES, 0)
        self.analysis_spread = Spread((self._layers, len(metrics_of(job.analyses))))
        self.analyses: dict[int, Values] = {}  # by ordinal; as many as the job's options allow

    def add(self, values: Values, tokens: int) -> None:
        self.spread.add(values)
        self.groups.add(values[..., RANKED])
        self.shares.add(values[:, ALL, :, ABSOLUTE], values[:, FIRST, :, ABSOLUTE], tokens)
        for scope, in_scope in zip(SCOPES, (tokens, tokens - 1, 1), strict=True):
            self.texts[scope] += in_scope > 0
            self.tokens[scope] += in_scope

    def add_analysis(self, ordinal: int, analysis: Values) -> None:
        """(L, ANALYSIS_NUMBERS)."""
        self.analyses[ordinal] = analysis
        self.analysis_spread.add(select_metrics(analysis, metrics_of(self._job.analyses)))

    def analysed_values(self) -> Values:
        """(n, L, M) of the metrics asked for."""
        whole = np.empty((len(self.analyses), self._layers, ANALYSIS_NUMBERS))
        for i, analysis in enumerate(self.analyses.values()):
            whole[i] = analysis
        return select_metrics(whole, metrics_of(self._job.analyses))

    def rows(self, domain: str, summary: Summary) -> Iterator[StatisticsRow]:
        """A row of `layer_profile` for each component, scope and layer."""
        statistics = self.spread.statistics(summary)
        ranks = _ranks(self.groups.ranks())
        analysed = list(self._analysed_rows())
        for c, component in enumerate(self._job.options["components"]):
            for s, scope in enumerate(SCOPES):
                for layer in range(self._layers):
                    there = (scope, component) == ("all", "block")
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
                        **(analysed[layer] if there else dict.fromkeys(analysed[layer])),
                    }

    def _analysed_rows(self) -> Iterator[StatisticsRow]:
        """What the analyses add to the row of each layer."""
        if not (columns := analysis_columns(self._job.analyses)):
            yield from ({} for _ in range(self._layers))
            return
        for statistics in self.analysis_spread.statistics(self.analysis_spread.moments.summary()):
            yield {"analysis_texts": len(self.analyses), **_columns(columns[1:], statistics)}

    def first_token_rows(self, domain: str) -> Iterator[StatisticsRow]:
        """A row of `first_token` for each component and layer."""
        share = self.shares.share()
        shares = np.stack([share.mean, share.variance], axis=-1)  # (C, L, 2)
        top = list(self._top_activation_rows())
        for c, component in enumerate(self._job.options["components"]):
            for layer in range(self._layers):
                yield {
                    "job_id": self._job.id,
                    "domain": domain,
                    "component": component,
                    "layer": layer,
                    "texts": self.shares.texts,
                    **_columns(SHARES, shares[c, layer]),
                    **(top[layer] if component == "block" else dict.fromkeys(top[layer])),
                }

    def _top_activation_rows(self) -> Iterator[StatisticsRow]:
        """The largest activations that leave each layer, where an analysis was asked for."""
        asked = {"analysis_texts": len(self.analyses)} if self._job.analyses else {}
        if not self.analyses:
            yield from (
                {**asked, **dict.fromkeys(TOP_ACTIVATION_COLUMNS if asked else ())}
                for _ in range(self._layers)
            )
            return
        for top in top_activations_of(np.stack(list(self.analyses.values()))):
            yield {**asked, **_columns(TOP_ACTIVATION_COLUMNS, np.array(top))}


def _ranks(ranks: Ranks) -> Values:
    """(C, S, L, M, 3): rank and its interval, of each ranked metric."""
    return np.stack([ranks.rank, ranks.ci_low, ranks.ci_high], axis=-1)


def _columns(names: Sequence[str], statistics: Values) -> dict[str, float | None]:
    """The statistics of one row by column, nan becomes null."""
    values = (None if np.isnan(value) else float(value) for value in statistics.flat)
    return dict(zip(names, values, strict=True))
