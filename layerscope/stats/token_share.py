"""How much of a layer's numbers is the first token alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of the mean: values that lie closer differ by how float64 rounds, which depends on their order.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class FirstTokenShare:
    """Of each layer, (..., L) float64, dimensionless; nan = no value. Other tokens: 1 − share."""

    mean: Array  # of the mean over texts, 0 … 1; nan without a text, or where that mean is 0
    variance: Array  # of the variance over texts; nan with fewer than two, or where they differ by rounding


class FirstTokenShares:
    """The first token's part in a metric that is a mean over tokens, such as `delta_abs_mean`.

    A text's value in scope `all` is a sum of two parts, the first token's and the others':
    all = first/T + rest·(T − 1)/T. So the first token's share of the mean over texts is
    mean(first/T) / mean(all), and its share of the variance cov(first/T, all) / var(all), which with the
    others' cov(rest·(T − 1)/T, all) / var(all) adds up to 1. Where the two parts vary against each other a
    share of the variance can be negative or above 1.

    Args:
        shape: of a text's values; nothing that is held grows with the texts.
    Source: the decomposition of a sum's variance by covariances, Shorrocks 1982; sums of products about the
        running means as in Welford 1962.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.texts = 0
        self._part, self._whole, self._squares, self._products = np.zeros((4, *shape))

    def add(self, everything: Array, first: Array, tokens: float) -> None:
        """Counts a text, unless one of its values is nan.

        Args:
            everything, first: `shape`, the metric's values in scopes `all` and `first`.
            tokens: T, as counted: at least 1.
        """
        part = first / tokens
        if np.isnan(everything + part).any():
            return
        self.texts += 1
        off = part - self._part
        self._part += off / self.texts
        before = everything - self._whole
        self._whole += before / self.texts
        after = everything - self._whole
        self._products += off * after
        self._squares += before * after

    def share(self) -> FirstTokenShare:
        """nan where there is no text, or nothing to share."""
        if self.texts == 0:
            return FirstTokenShare(*np.full((2, *self._whole.shape), np.nan))
        varying = self._squares > self.texts * (_ROUNDING * self._whole) ** 2
        variance = _ratio(self._products, np.where(varying, self._squares, 0.0))
        return FirstTokenShare(_ratio(self._part, self._whole), variance)


def first_token_share(everything: Array, first: Array, tokens: Array) -> FirstTokenShare:
    """`FirstTokenShares` of texts at hand.

    Args:
        everything, first: (texts, L).
        tokens: (texts,).
    """
    shares = FirstTokenShares(everything.shape[1:])
    for values in zip(everything, first, tokens, strict=True):
        shares.add(*values)
    return shares.share()


def _ratio(over: Array, under: Array) -> Array:
    """over / under, nan where under is 0."""
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)
