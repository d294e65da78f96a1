"""Ablation: skip a layer and compare the next-token predictions with those of the whole model."""

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from layerscope.core.types import RunLayer


def skip_each(states: list[Tensor], run: RunLayer) -> None:
    """Replaces the residual that enters each layer by the final residual of the model without that layer.

    A skipped layer is the identity: the residual that enters it enters the next layer. The layers before it
    are not computed again, so skipping layer ℓ runs only layers ℓ + 1 … L − 1, which is half of the cost of L
    complete passes. The replacement is in place because the residual that enters a layer is not needed again.

    Args:
        states: the L residuals that enter the layers, in order.
        run: runs one layer.
    """
    for skipped, state in enumerate(states):
        for layer in range(skipped + 1, len(states)):
            state = run(layer, state)
        states[skipped] = state


def token_costs(full: Tensor, ablated: Tensor, following: Tensor) -> Tensor:
    """How much skipping a layer changes the prediction, for each token.

    Args:
        full, ablated: (n, V) float32, log-probabilities of the next token, of the whole model and without the
            layer.
        following: (n,) int64, the token that follows in the text.
    Returns: (n, 2) float64, nats: the increase of its negative log-likelihood (negative if the model is
        better without the layer), and KL(full ‖ ablated) ≥ 0.
    Source: skipping as in ShortGPT, Men et al. 2024; docs/metrics.md, "Does a layer matter?".
    """
    index = following[:, None]
    increase = full.gather(1, index).double() - ablated.gather(1, index).double()  # (n, 1)
    divergence = kl_div(ablated, full, reduction="none", log_target=True).sum(1, keepdim=True).double()
    return torch.cat([increase, divergence.clamp(min=0)], 1)  # rounding can give less than 0 for equal ones
