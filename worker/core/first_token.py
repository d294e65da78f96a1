"""How much of a layer's numbers is the first token alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FirstTokenShare:
    """Of each layer, (L,) float64, dimensionless; nan = no value. The rest of the tokens has 1 − share."""

    mean: Array  # of the mean over texts, 0 … 1; nan without a text, or where that mean is 0
    variance: Array  # of the variance over texts; nan with fewer than two texts, or where they are all equal


def first_token_share(everything: Array, first: Array, tokens: Array) -> FirstTokenShare:
    """The first token's part in a metric that is a mean over tokens, such as `delta_abs_mean`.

    A text's value in scope `all` is a sum of two parts, the first token's and the others':
    all = first/T + rest·(T − 1)/T. So the first token's share of the mean over texts is
    mean(first/T) / mean(all), and its share of the variance cov(first/T, all) / var(all), which with the
    others' cov(rest·(T − 1)/T, all) / var(all) adds up to 1. Where the two parts vary against each other a
    share of the variance can be negative or above 1.

    Args:
        everything, first: (texts, L), the metric's values in scopes `all` and `first`; a text with a nan is
            left out.
        tokens: (texts,), T, as counted: at least 1.
    Source: the decomposition of a sum's variance by covariances, Shorrocks 1982.
    """
    known = ~np.isnan(everything + first).any(axis=1)
    whole = everything[known]  # (n, L)
    part = first[known] / tokens[known, None]
    mean = _ratio(part.sum(axis=0), whole.sum(axis=0))
    if len(whole) < 2:
        return FirstTokenShare(mean, np.full(whole.shape[1], np.nan))
    off = whole - whole.mean(axis=0)
    varying = np.ptp(whole, axis=0) > 0  # equal values leave a rounding in `off`
    covariance = ((part - part.mean(axis=0)) * off).sum(axis=0)
    return FirstTokenShare(mean, _ratio(covariance, np.where(varying, (off * off).sum(axis=0), 0.0)))


def _ratio(over: Array, under: Array) -> Array:
    """over / under, nan where under is 0."""
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under != 0)
