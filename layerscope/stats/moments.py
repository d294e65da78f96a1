"""Mean, variance and confidence interval over texts, computed from moments that can be merged."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from layerscope.arrays import Array
from layerscope.stats import CONFIDENCE


@dataclass(frozen=True)
class Summary:
    """Statistics over texts. Each has the shape of the added arrays, float64; nan = no value."""

    count: Array  # texts with a value
    mean: Array
    var: Array  # sample variance, ddof = 1; nan where count < 2
    std: Array
    ci_low: Array  # 95 % confidence interval of the mean (Student's t); nan where count < 2
    ci_high: Array


class Moments:
    """Count, mean and sum of squared deviations of each element over arrays.

    nan in an array means that this element has no value there; each element has its own count.

    Args:
        shape: the shape of the arrays to be added.
    Source: Chan, Golub, LeVeque 1979. The formula Σx² − (Σx)²/n is not used because it
        loses digits by cancellation.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count: Array = np.zeros(shape)
        self.mean: Array = np.zeros(shape)
        self.m2: Array = np.zeros(shape)

    def add(self, values: Array) -> None:
        """Adds the values of n ≥ 1 texts: (n, *shape), nan = no value."""
        present = ~np.isnan(values)
        count = present.sum(0, dtype=np.float64)
        # Values that are all equal have no deviation from the first one, and so a variance of exactly 0.
        first = np.take_along_axis(values, present.argmax(0)[None], 0)[0]
        steps = np.where(present, values - first, 0.0)
        mean = np.divide(steps.sum(0), count, out=np.zeros_like(count), where=count > 0)
        m2 = np.square(np.where(present, steps - mean, 0.0)).sum(0)
        self._combine(count, np.where(count > 0, first + mean, 0.0), m2)

    def merge(self, other: "Moments") -> "Moments":
        """Adds everything that `other` has counted; returns self."""
        self._combine(other.count, other.mean, other.m2)
        return self

    def _combine(self, count: Array, mean: Array, m2: Array) -> None:
        total = self.count + count
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        difference = mean - self.mean
        self.m2 = self.m2 + m2 + difference * difference * self.count * share
        self.mean = self.mean + difference * share
        self.count = total

    def summary(self) -> Summary:
        """Mean (nan without a text), variance and interval (nan with fewer than two texts)."""
        several = self.count > 1
        df = np.where(several, self.count - 1, np.nan)
        var = self.m2 / df
        std = np.sqrt(var)
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, df)
        half = quantile * std / np.sqrt(np.where(several, self.count, np.nan))
        mean = np.where(self.count > 0, self.mean, np.nan)
        return Summary(self.count.copy(), mean, var, std, mean - half, mean + half)
