"""Whether texts differ at all: rounding is no difference, and a test of it would find one."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Relative to the values' size. The same token in the same place, as Llama's first, differs between texts by
# float32's rounding alone (up to 2e-7 of the value), and in a few hundred texts that is "significant".
ROUNDING = 1e-6


def exceeds_rounding(deviation: Array, size: Array) -> NDArray[np.bool_]:
    """Whether a standard deviation is more than the rounding of values of that size; not so where it is nan.

    Args:
        deviation: of one kind of value over texts, ≥ 0.
        size: what the rounding of such values is relative to, same unit: the values' own size, except where
            they are sums in which positive and negative parts cancel.
    """
    return deviation > ROUNDING * size
