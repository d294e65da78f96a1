"""The logit lens: the next token, read off the residual before the model is finished."""

import torch
from torch import Tensor
from torch.nn.functional import kl_div


def token_readings(final: Tensor, lens: Tensor) -> Tensor:
    """How far along the prediction is at each token.

    Args:
        final, lens: (n, V) float32, log-probabilities of the next token, of the whole model and read off the
            residual that leaves a layer (final norm and head applied to it).
    Returns: (n, 3) float64: the lens's entropy (nats, 0 … ln V), KL(final ‖ lens) (nats, ≥ 0), and 1.0 where
        both have the same most probable token, else 0.0 (nan where there is none).
    Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; docs/metrics.md, "The logit lens".
    """
    entropy = (lens.exp() * -lens).sum(1).double()
    divergence = kl_div(lens, final, reduction="none", log_target=True).sum(1).double()
    agreement = (final.argmax(1) == lens.argmax(1)).double()
    return torch.stack([entropy, divergence.clamp(min=0), agreement], 1)  # which rounding can leave below 0
