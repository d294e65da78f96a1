"""Attention in a packed batch: the texts follow each other without padding, and each attends only to itself.

Transformers can separate packed texts with a block mask, but the size of that mask is quadratic in the number
of tokens of the batch. Here each text has a causal attention of its own. A batch costs what its texts cost
one at a time, needs neither padding nor mask, and the numbers of a text do not depend on the other texts of
its batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface

from layerscope.core.attention.kernels import loop
from layerscope.core.attention.rotary import RotaryPerText, depends_on_length
from layerscope.core.types import Kernel

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
    kernel: Kernel = loop,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each text to itself, with the signature that transformers calls.

    Args:
        module, attention_mask: the attention layer, and None (`packed` refuses a mask).
        query, key, value: (1, H, N, d), (1, K, N, d), (1, K, N, d); see `kernels.loop`.
        sliding_window, softcap: those of the layer, where its family has them; see `attend`.
    Returns: (1, N, H, d), and None for the attention weights, which are never computed.
    """
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    lengths = tuple(text_lengths)
    if sliding_window is not None and sliding_window >= max(lengths):
        sliding_window = None  # it reaches the first token of every text
    return kernel(q, k, v, lengths, scaling, sliding_window, softcap)[None], None


@cache
def _register() -> None:
    """Makes the attention known to transformers, on first use.

    No mask function is registered with it. Therefore transformers builds no mask and does not search the
    positions for packed texts; on a GPU that search would wait for all work in progress.
    """
    AttentionInterface.register(_NAME, packed_attention)


@contextmanager
def packed(module: Any) -> Iterator[None]:
    """Within it the model attends per text; afterwards it attends as before. May be entered again within it.

    Within it, the model must be called with `text_lengths=` (and `kernel=` for a kernel other than `loop`)
    and without a mask. Missing lengths and a mask raise an exception.
    """
    _register()
    # transformers has a public setter but no public getter. Its guide for attention functions reads this
    # attribute, and a test fails if it disappears.
    before, rotary = module.config._attn_implementation, module.rotary_emb
    module.set_attn_implementation(_NAME)
    guard = module.register_forward_pre_hook(_before_call, with_kwargs=True)
    if not isinstance(rotary, RotaryPerText) and depends_on_length(rotary):
        module.rotary_emb = RotaryPerText(rotary)
    try:
        yield
    finally:
        module.rotary_emb = rotary
        guard.remove()
        module.set_attn_implementation(before)


def _before_call(module: Any, _args: Any, named: dict[str, Any]) -> None:
    """Without a registered mask function transformers would silently ignore a padding mask."""
    if named.get("attention_mask") is not None:
        raise ValueError("packed attention takes no attention mask")
    if isinstance(module.rotary_emb, RotaryPerText):
        module.rotary_emb.lengths = list(named["text_lengths"])


def run_packed(module: Any, ids: Tensor, positions: Tensor, lengths: Sequence[int], kernel: Kernel) -> None:
    """One forward pass over a packed batch, in inference mode; hooks on the model observe it.

    Args:
        ids, positions: (1, N) int64; the tokens of all texts, and their positions, from 0 in every text.
        lengths: the tokens of each text; their sum is N.
    """
    with packed(module):
        module(input_ids=ids, position_ids=positions, use_cache=False, text_lengths=lengths, kernel=kernel)
