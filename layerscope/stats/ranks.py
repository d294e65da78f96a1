"""Which layer comes first: the layers' ranks by a metric's mean, and how sure they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats import CONFIDENCE

Array = NDArray[np.float64]

GROUPS = 256
RESAMPLES = 2_000
_SEED = 7


@dataclass(frozen=True)
class Ranks:
    """1 is the largest mean; each (..., L, M) float64 with whole numbers, nan = no value."""

    rank: Array
    ci_low: Array
    ci_high: Array


class TextGroups:
    """Sums of texts' values by group, the unit that is resampled.

    Text k belongs to group k mod GROUPS: up to GROUPS texts each is a group of its own, and what is held does
    not grow with more. A group is resampled with all its layers, so that what layers have in common in a text
    stays in common.

    Args:
        shape: of a text's values, (..., L, M), the layers in the last axis but one.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sums: Array = np.zeros((GROUPS, *shape))
        self._counts: Array = np.zeros((GROUPS, *shape))
        self._texts = 0

    def add(self, values: Array) -> None:
        """Counts one text's values: `shape`, nan = absent."""
        present = ~np.isnan(values)
        self._sums[self._texts % GROUPS] += np.where(present, values, 0.0)
        self._counts[self._texts % GROUPS] += present
        self._texts += 1

    def ranks(self) -> Ranks:
        """The ranks by mean, and 95 % percentile intervals of them; those need two texts.

        Equal means share the better rank. A layer without a mean has no rank and takes none from others.
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
    """(R, ...) sums of the resampled groups, from (R, G) and (G, ...)."""
    return (weights.astype(np.float64) @ groups.reshape(len(groups), -1)).reshape(-1, *groups.shape[1:])


def _ranks(sums: Array, counts: Array) -> Array:
    """(R, ..., L, M): of sums / counts along the layers, the largest first; nan without a count."""
    means = np.divide(sums, counts, out=np.full_like(sums, -np.inf), where=counts > 0)
    ranks = stats.rankdata(-means, method="min", axis=-2)
    return np.where(counts > 0, ranks, np.nan)
