"""Correction of p-values for multiple testing."""

import numpy as np
from statsmodels.stats.multitest import fdrcorrection

from layerscope.arrays import Array


def holm(p_values: Array) -> Array:
    """Holm's adjusted p-value of each test, which controls the family-wise error rate. nan = no test.

    A test compares it with `multipletests` of statsmodels. That function is not used because each of its
    calls runs Python's garbage collector, which takes a third of a second in a process with PyTorch, and a
    job has 63 calls.

    Source: Holm 1979.
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    p = p_values[tested]
    order = np.argsort(p)
    stepped_down = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    p[order] = np.minimum(stepped_down, 1.0)
    adjusted[tested] = p
    return adjusted


def benjamini_hochberg(p_values: Array) -> Array:
    """Benjamini and Hochberg's q-value of each test, which controls the false discovery rate. nan = no test.

    Source: Benjamini and Hochberg 1995, by statsmodels.
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    adjusted[tested] = fdrcorrection(p_values[tested])[1]
    return adjusted
