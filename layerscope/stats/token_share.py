"""The share of the first token in the mean and in the variance of a layer."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from layerscope.arrays import Array

# Relative to the mean. Smaller differences are rounding errors of float64, which depend on the order.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class FirstTokenShare:
    """The share in each layer, (..., L) float64; nan = no value. The other tokens have 1 − share."""

    mean: Array  # of the mean over texts, 0 … 1; nan without a text, or if the mean is 0
    variance: Array  # of the variance over texts; nan with fewer than two, or if they differ only by rounding


class _Deviations(NamedTuple):
    mean: Array  # `shape`
    each: Array  # (n, *shape), of each text from the mean


class FirstTokenShares:
    """The share of the first token in a metric that is a mean over tokens, such as `delta_abs_mean`.

    The value of a text in scope `all` is the sum of two parts, one from the first token and one from the
    other tokens: all = first/T + rest·(T − 1)/T. Therefore the share of the first token in the mean over
    texts is mean(first/T) / mean(all), and its share in the variance is cov(first/T, all) / var(all). The
    share of the other tokens in the variance is cov(rest·(T − 1)/T, all) / var(all), and both shares add up
    to 1. If the two parts are negatively correlated, a share of the variance can be negative or above 1.

    Args:
        shape: the shape of the values of a text; memory does not grow with the number of texts.
    Source: the decomposition of the variance of a sum by covariances, Shorrocks 1982; sums of products about
        the means, merged as in Chan, Golub, LeVeque 1979.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.texts = 0
        self._part, self._whole, self._squares, self._products = np.zeros((4, *shape))

    def add(self, everything: Array, first: Array, tokens: Array) -> None:
        """Adds n texts without those that have a value that is nan.

        Args:
            everything, first: (n, *shape), the values of the metric in scopes `all` and `first`.
            tokens: (n,) T, the number of measured tokens, at least 1.
        """
        axes = tuple(range(1, first.ndim))
        part = first / np.expand_dims(tokens, axes)
        complete = ~np.isnan(everything + part).any(axes)
        if not complete.any():
            return
        parts, wholes = _deviations(part[complete]), _deviations(everything[complete])
        off, apart = parts.mean - self._part, wholes.mean - self._whole
        added = int(complete.sum())
        total = self.texts + added
        weight = self.texts * added / total
        self._products += (parts.each * wholes.each).sum(0) + weight * off * apart
        self._squares += (wholes.each * wholes.each).sum(0) + weight * apart * apart
        self._part += off * (added / total)
        self._whole += apart * (added / total)
        self.texts = total

    def share(self) -> FirstTokenShare:
        """The shares of all texts added so far; nan without a text, or if the mean or the variance is 0."""
        if self.texts == 0:
            return FirstTokenShare(*np.full((2, *self._whole.shape), np.nan))
        varying = self._squares > self.texts * (_ROUNDING * self._whole) ** 2
        variance = _ratio(self._products, np.where(varying, self._squares, 0.0))
        return FirstTokenShare(_ratio(self._part, self._whole), variance)


def first_token_share(everything: Array, first: Array, tokens: Array) -> FirstTokenShare:
    """The shares of texts that are all in memory; see `FirstTokenShares`.

    Args:
        everything, first: (texts, L).
        tokens: (texts,).
    """
    shares = FirstTokenShares(everything.shape[1:])
    shares.add(everything, first, tokens)
    return shares.share()


def _deviations(values: Array) -> _Deviations:
    """Of (n, *shape). They are exactly 0 if all values are equal: the mean is computed from the first one."""
    steps = values - values[0]
    mean = steps.mean(0)
    return _Deviations(values[0] + mean, steps - mean)


def _ratio(over: Array, under: Array) -> Array:
    """over / under; nan where under is 0."""
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)
