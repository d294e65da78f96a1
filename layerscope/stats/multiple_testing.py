"""P-values of many tests at once."""

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import fdrcorrection

Array = NDArray[np.float64]


def holm(p_values: Array) -> Array:
    """Holm's adjusted p of each test: the chance of even one false finding stays under it. nan = no test.

    As statsmodels' `multipletests`, which a test holds it against; that one makes Python collect its garbage
    at each call, a third of a second in a process with PyTorch, and a job has 63 calls.

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
    """Benjamini and Hochberg's q of each test: the share of false ones among the findings. nan = no test.

    Source: Benjamini and Hochberg 1995, by statsmodels.
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    adjusted[tested] = fdrcorrection(p_values[tested])[1]
    return adjusted
