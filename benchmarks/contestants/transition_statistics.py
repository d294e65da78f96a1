"""The statistics that every contestant computes."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# The two statistics of a text for each transition: (layers − 1, 2), the mean and the absolute mean of δ.
Statistics = NDArray[np.float64]
Contestant = Callable[[Sequence[str]], Iterator[Statistics]]


def transition_statistics(outputs: Sequence[Tensor]) -> Statistics:
    """`.mean()` and `.abs().mean()` of the differences between the outputs of consecutive layers.

    Args:
        outputs: of each layer, (1, T, D).
    """
    found = np.empty((len(outputs) - 1, 2))
    for i in range(len(outputs) - 1):
        delta = outputs[i + 1] - outputs[i]
        found[i] = delta.mean().item(), delta.abs().mean().item()
    return found
