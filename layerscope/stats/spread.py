"""Whether texts differ by more than rounding; a statistical test of rounding errors would be significant."""

import numpy as np
from numpy.typing import NDArray

from layerscope.arrays import Array

# Relative to the size of the values. The same token in the same position, such as the first token of Llama
# models, differs between texts only by the rounding of float32 (up to 2e-7 of the value), and with a few
# hundred texts such differences become "significant".
ROUNDING = 1e-6


def exceeds_rounding(deviation: Array, size: Array) -> NDArray[np.bool_]:
    """Whether a standard deviation is larger than the rounding of values of this size; False for nan.

    Args:
        deviation: the standard deviation of a value over texts, ≥ 0.
        size: the size to which rounding is relative, in the same unit: the size of the values themselves,
            except for sums whose positive and negative parts cancel.
    """
    return deviation > ROUNDING * size
