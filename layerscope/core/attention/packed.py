"""Attention over a packed row: the texts of a batch lie one behind the other, and each attends to itself
alone.

Transformers can separate packed texts with a block mask, but that mask is quadratic in the row. Here each
text is a causal attention of its own, so a row costs what its texts cost one at a time, needs no padding and
no mask, and a text's numbers don't depend on its neighbours.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from layerscope.core.types import Kernel

_NAME = "layerscope_packed"


def loop(query: Tensor, key: Tensor, value: Tensor, lengths: tuple[int, ...], scale: float) -> Tensor:
    """One call a text: the instructions of the text alone, so its bits. On a CPU the fastest, and what every
    other kernel is held against.

    Args:
        query: (N, H, d); N tokens of all texts, one text behind the other.
        key, value: (N, K, d), H a multiple of K: neighbouring query heads share a key head.
        lengths: tokens of each text, in the row's order; their sum is N.
        scale: what the products q·k are multiplied by.
    Returns: (N, H, d).
    """
    groups = query.shape[1] // key.shape[1]
    # Repeated once a row: with enable_gqa, CUDA's float32 kernels fall back to the quadratic product.
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    heads = (torch.split(part.transpose(0, 1)[None], list(lengths), 2) for part in (query, key, value))
    attended = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(1, 2)  # (1, T, H, d)
        for q, k, v in zip(*heads, strict=True)
    ]
    return torch.cat(attended, 1)[0]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    text_lengths: Sequence[int],
    kernel: Kernel = loop,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each text to itself; the signature is the one transformers calls.

    Args:
        module, attention_mask: the attention layer and None; `packed` sees to that.
        query, key, value: (1, H, N, d), (1, K, N, d) twice; see `loop`.
    Returns: (1, N, H, d), and None for the weights, which are never formed.
    """
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    return kernel(q, k, v, tuple(text_lengths), scaling)[None], None


# No mask function is registered beside it: transformers then makes no mask, and doesn't look at the positions
# for packed texts either, which on a GPU would wait for all work before it.
AttentionInterface.register(_NAME, packed_attention)


@contextmanager
def packed(module: Any) -> Iterator[None]:
    """The model attends per text inside, and as it did before afterwards.

    Inside, it must be called with `text_lengths=` (and `kernel=` for another than the loop) and without a
    mask; forgetting the lengths or giving a mask raises.
    """
    before = module.config._attn_implementation
    module.set_attn_implementation(_NAME)
    guard = module.register_forward_pre_hook(_refuse_mask, with_kwargs=True)
    try:
        yield
    finally:
        guard.remove()
        module.set_attn_implementation(before)


def _refuse_mask(_module: nn.Module, _args: Any, named: dict[str, Any]) -> None:
    """Without a registered mask function transformers would drop a padding mask silently."""
    if named.get("attention_mask") is not None:
        raise ValueError("packed attention takes no attention mask")
