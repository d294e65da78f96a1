"""Massive tokens: tokens whose residual norm is far above that of the other tokens of their text.

Source: Sun et al. 2024 (massive activations). Such tokens dominate every average of squares and ratios, also
at positions other than the first. Scope `typical` leaves them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from layerscope.core.transfer import upload

MASSIVE_FACTOR = 3.0  # chosen on a trained model: docs/metrics.md, "Massive tokens"


@dataclass(frozen=True)
class MassiveToken:
    """A massive token of a text: its position, its id, and its string in the vocabulary."""

    position: int
    token_id: int
    token: str


def massive_tokens(norms: Tensor, lengths: Sequence[int]) -> Tensor:
    """Which tokens are massive in at least one layer: one set per text. Does not wait for the device.

    Args:
        norms: (L, N) float32; ‖h[ℓ]‖ of every token for ℓ = 1 … L.
        lengths: the tokens of each of the B texts, ≥ 1; their sum is N.
    Returns: (N,) bool. A token is massive if its norm exceeds MASSIVE_FACTOR times the median of the norms of
        its text in the same layer; the first token is left out of the median. A text of one token has no
        median and no massive token.
    """
    medians = medians_without_first(norms, lengths)  # (L, B)
    text_of_token = _repeated(lengths, norms)
    return (norms > MASSIVE_FACTOR * medians[:, text_of_token]).any(0)


def medians_without_first(norms: Tensor, lengths: Sequence[int]) -> Tensor:
    """The median of the values of each text without its first token; the mean of the middle two if even.

    Args: `norms`: (L, N) float32, ≥ 0 or nan; `lengths`: B texts, as in `massive_tokens`.
    Returns: (L, B) float32; nan for a text of one token.
    """
    # The bits of floats ≥ 0 have the order of the floats. With the number of the group in the upper half, one
    # sort puts the values of each group in order. The first token of a text is a group of its own.
    groups = _repeated([size for length in lengths for size in (1, length - 1)], norms)
    bits = norms.view(torch.int32).bitwise_and(0x7FFFFFFF)
    values = _sorted((groups << 32) + bits).int().view(torch.float32)
    starts = list(accumulate(lengths, initial=0))[:-1]
    # The places of the middle two; both are the same if the number of values is odd.
    lower = [start + max(length // 2, 1) for start, length in zip(starts, lengths, strict=True)]
    upper = [start + (length + 1) // 2 for start, length in zip(starts, lengths, strict=True)]
    below, above = (values[:, _clipped(places, norms)] for places in (lower, upper))
    has_median = upload([int(length > 1) for length in lengths], norms.device).bool()
    return ((below + above) / 2).where(has_median, torch.nan)


def _repeated(sizes: Sequence[int], like: Tensor) -> Tensor:
    """The number of the group of each of the N tokens, (N,) int64; `like`: (L, N)."""
    groups = torch.arange(len(sizes), device=like.device)
    # Without the size of the result, this would wait for the device.
    return groups.repeat_interleave(upload(list(sizes), like.device), output_size=like.shape[1])


def _sorted(keys: Tensor) -> Tensor:
    """Each row in ascending order. On a CPU, NumPy sorts integers four times as fast as PyTorch."""
    return keys.sort(dim=1).values if keys.is_cuda else torch.from_numpy(np.sort(keys.numpy(), axis=1))


def _clipped(places: list[int], like: Tensor) -> Tensor:
    """The places, on the device; those of a text of one token may be beyond the last token."""
    return upload([min(place, like.shape[1] - 1) for place in places], like.device)
