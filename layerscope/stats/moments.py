"""Over texts: moments that can be added to, merged, and read as mean, variance and confidence interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats import CONFIDENCE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """Statistics over texts, each the shape of the added arrays, float64; nan = no value."""

    count: Array  # texts with a value
    mean: Array
    var: Array  # sample variance, ddof = 1; nan where count < 2
    std: Array
    ci_low: Array  # 95 % confidence interval of the mean (Student's t); nan where count < 2
    ci_high: Array


class Moments:
    """Count, mean and sum of squared deviations of each element, over arrays in which nan means absent.

    An element that is absent from an array simply does not count there, so elements may differ in count.

    Args:
        shape: of the arrays to add.
    Source: Welford 1962; merging: Chan, Golub, LeVeque 1979. Never Σx² − (Σx)²/n, which cancels.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count: Array = np.zeros(shape)
        self.mean: Array = np.zeros(shape)
        self.m2: Array = np.zeros(shape)

    def add(self, values: Array) -> None:
        """Counts one text's values: `shape`, nan = absent."""
        present = ~np.isnan(values)
        self._combine(present.astype(np.float64), np.where(present, values, 0.0), np.zeros_like(self.m2))

    def merge(self, other: "Moments") -> "Moments":
        """Takes over all that `other` counted, and returns itself."""
        self._combine(other.count, other.mean, other.m2)
        return self

    def _combine(self, count: Array, mean: Array, m2: Array) -> None:
        total = self.count + count
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        gap = mean - self.mean
        self.m2 = self.m2 + m2 + gap * gap * self.count * share
        self.mean = self.mean + gap * share
        self.count = total

    def summary(self) -> Summary:
        """Mean (nan without a text), variance and interval (nan below two texts)."""
        several = self.count > 1
        freedom = np.where(several, self.count - 1, np.nan)
        var = self.m2 / freedom
        std = np.sqrt(var)
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, freedom)
        half = quantile * std / np.sqrt(np.where(several, self.count, np.nan))
        mean = np.where(self.count > 0, self.mean, np.nan)
        return Summary(self.count.copy(), mean, var, std, mean - half, mean + half)
