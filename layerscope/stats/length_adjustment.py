"""The difference of two domains with the length of their texts taken out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerscope.stats.regression import robust_coefficient

Array = NDArray[np.float64]


class Adjusted(NamedTuple):
    """a − b, in the columns' order of comparison.csv; one shape, float64, nan = no value."""

    adjusted_difference: Array
    adjusted_ci_low: Array
    adjusted_ci_high: Array
    adjusted_p_value: Array


def adjusted(a: Array, tokens_a: Array, b: Array, tokens_b: Array, size: Array) -> Adjusted:
    """By regression of a text's value on 1/T, log T and whether it belongs to `a`.

    What the first token adds to a mean over tokens falls with 1/T; what comes with context grows about with
    log T.

    Args:
        a, b: (n, ...) and (m, ...) a text's values each; texts without any value are left out, a column with
            another missing value has none.
        tokens_a, tokens_b: (n,), (m,) the texts' lengths T.
        size: (...) what rounding is relative to (`exceeds_rounding`).
    Returns: nan also where there are fewer than three lengths (then 1/T and log T are one and the same), they
        tell the domains apart by themselves, or a domain has no value at all.
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
    """The same of texts that belong together: the mean of a − b where the partners' lengths are equal.

    By regression of a pair's difference on the differences of 1/T and of log T.

    Args:
        a, b: (n, ...) the k-th rows belong together; pairs without any value are left out.
        tokens_a, tokens_b: (n,).
        size: (...).
    """
    columns = (a - b).reshape(len(a), size.size)
    kept = ~np.isnan(columns).all(1)
    columns, tokens_a, tokens_b = columns[kept], tokens_a[kept], tokens_b[kept]
    regressors = [1 / tokens_a - 1 / tokens_b, np.log(tokens_a) - np.log(tokens_b), np.ones(len(tokens_a))]
    return _last_coefficient(np.stack(regressors, 1), columns, size)


def _centred(regressor: Array) -> Array:
    """Changes the constant's coefficient alone, and the sums' rounding for the better."""
    centred: Array = regressor - regressor.mean()
    return centred


def _last_coefficient(design: Array, columns: Array, size: Array) -> Adjusted:
    found = robust_coefficient(design, columns, size.ravel())
    parts = (found.estimate, found.ci_low, found.ci_high, found.p_value)
    return Adjusted(*(part.reshape(size.shape) for part in parts))
