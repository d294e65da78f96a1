"""The rotary embedding: positions per text, and the faster kernel.

The frequencies of some embeddings depend on the length of the text (longrope, dynamic NTK). transformers
chooses them from the largest position of a whole batch, and dynamic NTK also keeps those of the longest text
so far. Here every text has the frequencies that it has alone.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

_LENGTH_DEPENDENT = ("dynamic", "longrope")


def depends_on_length(rotary: Any) -> bool:
    """Whether a rotary embedding of transformers has other frequencies for longer texts."""
    kinds: Iterable[str] = (
        rotary.rope_type.values() if isinstance(rotary.rope_type, dict) else [rotary.rope_type]
    )
    return any(name in kind for kind in kinds for name in _LENGTH_DEPENDENT)


def rotary_embedding(module: Any, choice: str) -> AbstractContextManager[None]:
    """Within it the model rotates queries and keys with `choice`: "eager", or "triton" on a GPU."""
    if choice == "eager":
        return nullcontext()
    # Imported only where it is used: Triton exists only with the PyTorch for GPUs.
    kernel: Any = import_module("layerscope.core.attention.rotary_kernel")
    fast: AbstractContextManager[None] = kernel.fast_rotary(module.layers[0].self_attn)
    return fast


class RotaryPerText(nn.Module):
    """Calls a rotary embedding for each text of a packed batch, each time a new copy without a history.

    `lengths`: the tokens of the texts of the batch, to be set before each call.
    """

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary
        self.lengths: list[int] = []

    def forward(self, x: Tensor, position_ids: Tensor, *layer_type: str) -> tuple[Tensor, Tensor]:
        """The cosines and sines of all tokens, (1, N, d) each; the arguments are those of transformers."""
        texts = [
            deepcopy(self.rotary)(x, positions, *layer_type)
            for positions in torch.split(position_ids, self.lengths, 1)
        ]
        cosines, sines = zip(*texts, strict=True)
        return torch.cat(cosines, 1), torch.cat(sines, 1)
