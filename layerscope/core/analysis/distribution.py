"""Next-token distributions, a few at a time: of a whole row they would be tokens × vocabulary numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def log_probabilities(residual: Tensor, norm: nn.Module, head: nn.Linear) -> Tensor:
    """The distribution of the next token that a residual stands for.

    Args:
        residual: (n, D), the model's dtype, before the final norm.
        norm: the model's final norm, computed anew for this residual.
        head: (n, D) → (n, V). Its logits are the model's own, in its dtype: rounded as the model rounds them.
    Returns: (n, V) float32 on the head's device, nats, ≤ 0. A residual or logit that is not finite gives nan.
    """
    # In a model spread over several devices the norm may lie on another one than the head.
    logits: Tensor = head(norm(residual).to(head.weight.device))
    return logits.float().log_softmax(-1)


def slices(tokens: int, vocabulary: int, limit: int) -> Iterator[slice]:
    """Cuts a row of tokens so that a slice's (n, vocabulary) float32 tensor takes at most `limit` bytes; one
    token is the least."""
    size = max(1, limit // (torch.float32.itemsize * vocabulary))
    return (slice(start, min(start + size, tokens)) for start in range(0, tokens, size))
