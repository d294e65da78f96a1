"""The logit lens: the next token predicted from the residual after each layer."""

import torch
from torch import Tensor
from torch.nn.functional import kl_div


def token_readings(final: Tensor, lens: Tensor) -> Tensor:
    """How close the prediction after a layer is to the final prediction, for each token.

    Args:
        final, lens: (n, V) float32, log-probabilities of the next token: of the whole model, and after a
            layer (final norm and head applied to the residual that leaves the layer).
    Returns: (n, 3) float64: the entropy of the lens (nats, 0 … ln V), KL(final ‖ lens) (nats, ≥ 0), and 1.0
        if both have the same most probable token, else 0.0 (nan if there is none).
    Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; docs/metrics.md, "The logit lens".
    """
    entropy = (lens.exp() * -lens).sum(1).double()
    divergence = kl_div(lens, final, reduction="none", log_target=True).sum(1).double()
    agreement = (final.argmax(1) == lens.argmax(1)).double()
    return torch.stack([entropy, divergence.clamp(min=0), agreement], 1)  # rounding can give less than 0


def token_predictions(lens: Tensor, following: Tensor) -> Tensor:
    """What the logit lens predicts for each token.

    Args:
        lens: (n, V) float32, as in `token_readings`.
        following: (n,) int64, the id of the token that follows.
    Returns: (n, 2) float32: the rank of the following token, 1 for the most probable (1 + the number of
        tokens that are more probable); and the id of the most probable token (of equal ones the smallest).
    """
    probability = lens.gather(1, following[:, None])
    return torch.stack([1 + (lens > probability).sum(1), lens.argmax(1)], 1).float()
