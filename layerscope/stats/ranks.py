"""The ranks of the layers by the mean of a metric, and confidence intervals of the ranks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerscope.arrays import Array
from layerscope.stats import CONFIDENCE

GROUPS = 256
RESAMPLES = 2_000
_SEED = 7


@dataclass(frozen=True)
class Ranks:
    """Rank 1 has the largest mean. Each (..., L, M) float64 holds whole numbers; nan = no value."""

    rank: Array
    ci_low: Array
    ci_high: Array


class TextGroups:
    """Sums of the values of texts by group. The bootstrap resamples groups.

    Text k belongs to group k mod GROUPS. Up to GROUPS texts, each text is a group of its own; with more texts
    the memory does not grow. A group is resampled with all its layers, so the correlation of the layers
    within a text is kept.

    Args:
        shape: the shape of the values of a text, (..., L, M); the layers are in the second to last axis.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sums: Array = np.zeros((GROUPS, *shape))
        self._counts: Array = np.zeros((GROUPS, *shape))
        self._texts = 0

    def add(self, values: Array) -> None:
        """Adds the values of n texts: (n, *shape), nan = no value."""
        present = ~np.isnan(values)
        known = np.where(present, values, 0.0)
        for start in range(0, len(values), GROUPS):  # no group twice
            some = slice(start, start + GROUPS)
            groups = (self._texts + np.arange(len(known[some]))) % GROUPS
            self._sums[groups] += known[some]
            self._counts[groups] += present[some]
            self._texts += len(groups)

    def ranks(self) -> Ranks:
        """The ranks by mean and their 95 % percentile intervals, which need at least two texts.

        Layers with equal means have the same rank, the better one. A layer without a mean has no rank and
        does not change the ranks of the others.
        """
        groups = min(self._texts, GROUPS)
        sums, counts = self._sums[:groups], self._counts[:groups]
        rank = _ranks(sums.sum(0)[None], counts.sum(0)[None])[0]
        weights = np.random.default_rng(_SEED).multinomial(groups, np.full(groups, 1 / groups), RESAMPLES)
        resampled = _ranks(_weighted(weights, sums), _weighted(weights, counts))
        tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
        certain = counts.sum(0) < 2
        bounds = np.nanquantile(np.where(certain, 0.0, resampled), tails, axis=0, method="inverted_cdf")
        low, high = np.where(certain, np.nan, bounds)
        return Ranks(rank, low, high)


def _weighted(weights: NDArray[np.int64], groups: Array) -> Array:
    """The sums of the resampled groups: (R, G) weights and (G, ...) sums → (R, ...)."""
    return (weights.astype(np.float64) @ groups.reshape(len(groups), -1)).reshape(-1, *groups.shape[1:])


def _ranks(sums: Array, counts: Array) -> Array:
    """(R, ..., L, M) → the same shape: ranks of sums / counts along the layers; nan where the count is 0."""
    means = np.divide(sums, counts, out=np.full_like(sums, -np.inf), where=counts > 0)
    ranks = stats.rankdata(-means, method="min", axis=-2)
    return np.where(counts > 0, ranks, np.nan)
