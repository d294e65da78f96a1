"""The largest activations of a residual: which units, how large, on which token."""

import torch
from torch import Tensor

from layerscope.names import TOP_ACTIVATIONS


def largest(residual: Tensor) -> Tensor:
    """The units with the largest |h| of a text's residual, largest first, and how far they stand out.

    Args:
        residual: (T, D), any float dtype, activation units; D ≥ 4.
    Returns: (13,) float64: 4 units, the value of each at its largest |h| (with its sign), the token where
        that is (0: the first; of equal ones the earliest), and the ratio of the largest |h| to the median |h|
        of all T · D (of an even number the lower of the middle two); nan where the median is 0. A residual
        with a nan or an inf has a largest value that is not finite.
    Source: the published criterion of a massive activation, above 100 and about 1,000 times the median (Sun
        et al. 2024).
    """
    sizes = residual.float().abs()
    highest, tokens = sizes.max(0)  # (D,) each: the largest of a unit, and its token
    units = highest.topk(TOP_ACTIVATIONS).indices
    at = tokens[units]
    median = sizes.median()
    ratio = highest.max() / median.where(median > 0, torch.nan)
    return torch.cat([units.double(), residual[at, units].double(), at.double(), ratio.double()[None]])
