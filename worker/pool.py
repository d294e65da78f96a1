"""The texts of one domain, summed up as they come: what is held does not grow with them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.tables import Job
from app.vocabulary import METRICS, RANK_COLUMNS, RANKED_METRICS, SCOPES, SHARES, STATISTIC_COLUMNS
from worker.analysis import BEYOND, Ranks, TextGroups, bca_interval
from worker.core import FirstTokenShares, Moments, Summary

Values = NDArray[np.float64]
RANKED = [METRICS.index(metric) for metric in RANKED_METRICS]
ABSOLUTE = METRICS.index("delta_abs_mean")
ALL, FIRST = SCOPES.index("all"), SCOPES.index("first")


class Pool:
    """The texts of one domain, summed up."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.moments = Moments(shape)
        self.groups = TextGroups((*shape[:-1], len(RANKED_METRICS)))
        self.few: list[Values] = []  # all texts' values while they are fewer than BEYOND
        self.shares = FirstTokenShares((shape[0], shape[2]))
        self.texts = dict.fromkeys(SCOPES, 0)
        self.tokens = dict.fromkeys(SCOPES, 0)

    def add(self, values: Values, tokens: int) -> None:
        self.moments.add(values)
        self.groups.add(values[..., RANKED])
        if len(self.few) < BEYOND:
            self.few.append(values)
        self.shares.add(values[:, ALL, :, ABSOLUTE], values[:, FIRST, :, ABSOLUTE], tokens)
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

    def first_token_rows(self, job: Job, domain: str) -> Iterator[dict[str, Any]]:
        """A row of `first_token` for each component and layer."""
        share = self.shares.share()
        shares = np.stack([share.mean, share.variance], axis=-1)  # (C, L, 2)
        for c, component in enumerate(job.options["components"]):
            for layer in range(shares.shape[1]):
                yield {
                    "job_id": job.id,
                    "domain": domain,
                    "component": component,
                    "layer": layer,
                    "texts": self.shares.texts,
                    **_columns(SHARES, shares[c, layer]),
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
