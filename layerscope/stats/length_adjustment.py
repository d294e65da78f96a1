"""The difference between two domains, adjusted for the lengths of their texts."""

from typing import NamedTuple

import numpy as np

from layerscope.arrays import Array
from layerscope.stats.regression import robust_coefficient


class Adjusted(NamedTuple):
    """a − b, in the order of the columns of comparison.csv; all of one shape, float64, nan = no value."""

    adjusted_difference: Array
    adjusted_ci_low: Array
    adjusted_ci_high: Array
    adjusted_p_value: Array


def adjusted(a: Array, tokens_a: Array, b: Array, tokens_b: Array, size: Array) -> Adjusted:
    """Regresses the value of a text on 1/T, log T and an indicator of domain `a`.

    The contribution of the first token to a mean over tokens falls with 1/T. Effects of context grow
    approximately with log T.

    Args:
        a, b: (n, ...) and (m, ...) the values of the texts. Texts without any value are left out. A column in
            which another value is missing has no result.
        tokens_a, tokens_b: (n,), (m,) the lengths T of the texts.
        size: (...) the size to which rounding is relative; see `exceeds_rounding`.
    Returns: the coefficient of the indicator; nan if there are fewer than three different lengths (1/T and
        log T are then collinear), if the lengths alone separate the domains, or if a domain has no value.
    """
    values, tokens = np.concatenate([a, b]), np.concatenate([tokens_a, tokens_b])
    in_a = np.repeat([1.0, 0.0], [len(a), len(b)])
    columns = values.reshape(len(values), size.size)
    kept = ~np.isnan(columns).all(1)
    if not kept.any():
        return Adjusted(*np.full((4, *size.shape), np.nan))
    columns, tokens, in_a = columns[kept], tokens[kept], in_a[kept]
    regressors = [np.ones(len(tokens)), _centred(1 / tokens), _centred(np.log(tokens)), in_a]
    return _last_coefficient(np.stack(regressors, 1), columns, size)


def adjusted_paired(a: Array, tokens_a: Array, b: Array, tokens_b: Array, size: Array) -> Adjusted:
    """The same for pairs of texts: the expected a − b of a pair whose texts have equal lengths.

    Regresses the difference of a pair on the differences of 1/T and of log T; the result is the constant.

    Args:
        a, b: (n, ...) the k-th texts of both are a pair. Pairs without any value are left out.
        tokens_a, tokens_b: (n,) the lengths T of the texts.
        size: (...) as in `adjusted`.
    """
    columns = (a - b).reshape(len(a), size.size)
    kept = ~np.isnan(columns).all(1)
    columns, tokens_a, tokens_b = columns[kept], tokens_a[kept], tokens_b[kept]
    regressors = [1 / tokens_a - 1 / tokens_b, np.log(tokens_a) - np.log(tokens_b), np.ones(len(tokens_a))]
    return _last_coefficient(np.stack(regressors, 1), columns, size)


def _centred(regressor: Array) -> Array:
    """Changes only the coefficient of the constant, and reduces the rounding errors of the sums."""
    centred: Array = regressor - regressor.mean()
    return centred


def _last_coefficient(design: Array, columns: Array, size: Array) -> Adjusted:
    found = robust_coefficient(design, columns, size.ravel())
    parts = (found.estimate, found.ci_low, found.ci_high, found.p_value)
    return Adjusted(*(part.reshape(size.shape) for part in parts))
