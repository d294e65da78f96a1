"""The largest activations of a residual: their units, values and tokens."""

import torch
from torch import Tensor

from layerscope.names import TOP_ACTIVATIONS


def largest(residual: Tensor) -> Tensor:
    """The units with the largest |h| in the residual of a text, the largest first, and how large they are.

    Args:
        residual: (T, D), any float dtype, activation units; D ≥ 4.
    Returns: (13,) float64: 4 units; the value of each at its largest |h|, with its sign; the token at which
        it occurs (0 is the first; of equal values the earliest); and the largest |h| divided by the median
        |h| of all T · D values (for an even number of values the lower of the middle two), nan if the median
        is 0. If the residual contains a nan or an inf, the largest value is not finite.
    Source: the criterion for a massive activation, above 100 and about 1,000 times the median (Sun et al.
        2024).
    """
    sizes = residual.float().abs()
    highest, tokens = sizes.max(0)  # (D,) each: the largest value of each unit, and its token
    units = highest.topk(TOP_ACTIVATIONS).indices
    at = tokens[units]
    median = sizes.median()
    ratio = highest.max() / median.where(median > 0, torch.nan)
    return torch.cat([units.double(), residual[at, units].double(), at.double(), ratio.double()[None]])
