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
from transformers import AttentionInterface, AttentionMaskInterface

_NAME = "layerscope_packed"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    text_lengths: Sequence[int],
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each text to itself; the signature is the one transformers calls.

    Args:
        module: the attention layer; its `num_key_value_groups` says how many query heads share a key head.
        query: (1, H, N, d); N tokens of all texts, one text behind the other.
        key, value: (1, K, N, d), H = K · groups.
        attention_mask: None; `_no_mask` sees to that.
        scaling: what the products q·k are multiplied by, 1/√d.
        text_lengths: tokens of each text, in the row's order; their sum is N.
    Returns: (1, N, H, d), and None for the weights, which are never formed.
    """
    groups: Any = module.num_key_value_groups
    # Repeated once a row: with enable_gqa, CUDA's float32 kernels fall back to the quadratic product.
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    out = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    start = 0
    for length in text_lengths:
        text = slice(start, start + length)
        attended = scaled_dot_product_attention(
            query[:, :, text], key[:, :, text], value[:, :, text], is_causal=True, scale=scaling
        )
        out[:, text] = attended.transpose(1, 2)
        start += length
    return out, None


def _no_mask(*, attention_mask: Tensor | None, **_: Any) -> None:
    """Refuses a padding mask: without a registered mask function transformers would drop it silently."""
    if attention_mask is not None:
        raise ValueError("packed attention takes no attention mask")


AttentionInterface.register(_NAME, packed_attention)
AttentionMaskInterface.register(_NAME, _no_mask)


@contextmanager
def packed(module: Any) -> Iterator[None]:
    """The model attends per text inside, and as it did before afterwards.

    Inside, it must be called with `text_lengths=` and without a mask; forgetting either raises.
    """
    before = module.config._attn_implementation
    module.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        module.set_attn_implementation(before)
