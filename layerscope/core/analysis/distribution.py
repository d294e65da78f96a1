"""Next-token distributions of a few tokens at a time: a whole batch has tokens × vocabulary numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def log_probabilities(residual: Tensor, norm: nn.Module, head: nn.Linear) -> Tensor:
    """The distribution of the next token that the model reads from a residual.

    Args:
        residual: (n, D), in the dtype of the model, before the final norm.
        norm: the final norm of the model, applied to this residual.
        head: (n, D) → (n, V). The logits are those of the model, rounded in its dtype.
    Returns: (n, V) float32 on the device of the head, nats, ≤ 0. A residual or logit that is not finite gives
        nan.
    """
    # In a model that is spread over several devices, norm and head may be on different ones.
    logits: Tensor = head(norm(residual).to(head.weight.device))
    return logits.float().log_softmax(-1)


def slices(tokens: int, vocabulary: int, limit: int) -> Iterator[slice]:
    """Cuts the tokens of a batch into slices whose (n, vocabulary) float32 tensor has at most `limit` bytes.

    A slice has at least one token.
    """
    size = max(1, limit // (torch.float32.itemsize * vocabulary))
    return (slice(start, min(start + size, tokens)) for start in range(0, tokens, size))
