"""Does a layer matter for the output? Leave it out, and see what becomes of the next token."""

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from layerscope.core.types import RunLayer


def skip_each(states: list[Tensor], run: RunLayer) -> None:
    """Replaces the residual that enters each layer by the one that leaves the model without that layer.

    A skipped layer is the identity: what entered it enters the next one. What the layers before it do is
    not computed again, so skipping layer ℓ runs the layers ℓ + 1 … L − 1 alone; all of them together are half
    of what L whole passes cost. In place, since the entering residual of a layer is needed for nothing else.

    Args:
        states: the L residuals that enter the layers, in order.
        run: runs one layer.
    """
    for skipped, state in enumerate(states):
        for layer in range(skipped + 1, len(states)):
            state = run(layer, state)
        states[skipped] = state


def token_costs(full: Tensor, ablated: Tensor, following: Tensor) -> Tensor:
    """What skipping a layer costs at each token.

    Args:
        full, ablated: (n, V) float32, log-probabilities of the next token, of the whole model and without
            the layer.
        following: (n,) int64, the token that really follows.
    Returns: (n, 2) float64, nats: the rise in its negative log-likelihood (negative where the model does
        better without the layer), and KL(full ‖ ablated) ≥ 0.
    Source: skipping as in ShortGPT, Men et al. 2024; docs/metrics.md, "Does a layer matter?".
    """
    there = following[:, None]
    rise = full.gather(1, there).double() - ablated.gather(1, there).double()  # (n, 1)
    divergence = kl_div(ablated, full, reduction="none", log_target=True).sum(1, keepdim=True).double()
    return torch.cat([rise, divergence.clamp(min=0)], 1)  # equal distributions end up a rounding below 0
