"""A packed row's attention in one call, for GPUs, where a loop over the texts would be a launch a text.

PyTorch's variable-length flash attention, the flash-attn package's, flex attention, or the padded rows that
any device can do: whichever works there, in that order. All take the loop's arguments and give its numbers.
"""

from functools import cache, lru_cache
from importlib import import_module
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from layerscope.core.transfer import upload
from layerscope.core.types import Kernel

Lengths = tuple[int, ...]

_DEVICES = 16  # a model spread over several devices asks for the same row's layout on each of them
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}
_PROBE = (5, 1, 130, 64)  # lengths: one token, and more than a tile


def varlen(query: Tensor, key: Tensor, value: Tensor, lengths: Lengths, scale: float) -> Tensor:
    """PyTorch's own flash attention over variable lengths (CUDA)."""
    attend, bounds, longest = _varlen(), _bounds(lengths, query.device), max(lengths)
    grouped: dict[str, Any] = {} if query.shape[1] == key.shape[1] else {"enable_gqa": True}
    # Without splits a text's numbers don't depend on its neighbours in the row.
    steady = {"num_splits": 1} if "num_splits" in signature(attend).parameters else {}
    out: Tensor = attend(
        *(query, key, value, bounds, bounds, longest, longest),
        **{"scale": scale, "window_size": (-1, 0), **grouped, **steady},
    )
    return out


@cache
def _varlen() -> Any:
    return import_module("torch.nn.attention.varlen").varlen_attn


def flash(query: Tensor, key: Tensor, value: Tensor, lengths: Lengths, scale: float) -> Tensor:
    """The flash-attn package, if it is installed (CUDA)."""
    bounds, longest = _bounds(lengths, query.device), max(lengths)
    attend = import_module("flash_attn").flash_attn_varlen_func
    out: Tensor = attend(
        *(query, key, value, bounds, bounds, longest, longest), softmax_scale=scale, causal=True
    )
    return out


def flex(query: Tensor, key: Tensor, value: Tensor, lengths: Lengths, scale: float) -> Tensor:
    """Flex attention, whose block mask leaves out what lies between texts."""
    heads = (part.transpose(0, 1)[None] for part in (query, key, value))
    mask = _same_text(lengths, query.device)
    out: Tensor = _flex(query.device.type)(*heads, block_mask=mask, scale=scale, enable_gqa=True)
    return out[0].transpose(0, 1)


@cache
def _flex(device: str) -> Any:
    attend = import_module("torch.nn.attention.flex_attention").flex_attention
    # Uncompiled it forms the quadratic matrix, which is right, and all a test on a CPU needs.
    return torch.compile(attend, dynamic=True) if device == "cuda" else attend


def padded(query: Tensor, key: Tensor, value: Tensor, lengths: Lengths, scale: float) -> Tensor:
    """Texts side by side, padded to the right: under causal attention a token never sees what comes after it,
    so no mask is needed and the fast kernels remain."""
    groups, longest = query.shape[1] // key.shape[1], max(lengths)
    taken, real = _places(lengths, query.device)
    q, k, v = (
        part[taken]
        .view(-1, longest, *part.shape[1:])
        .transpose(1, 2)  # (N, H, d) → (B · T, H, d) → (B, H, T, d)
        for part in (query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1))
    )
    attended = scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return attended.transpose(1, 2).flatten(0, 1)[real]


KERNELS: dict[str, Kernel] = {"varlen": varlen, "flash": flash, "flex": flex, "padded": padded}


@torch.inference_mode()
def choose_kernel(
    reference: Kernel, device: str, dtype: torch.dtype, heads: tuple[int, int, int]
) -> str | None:
    """The first kernel that works on the device and agrees there with the reference; None if none does.

    Args: `heads`: query heads, key heads, units a head; the model's.
    """
    queries, keys, size = heads
    parts = [torch.randn(sum(_PROBE), n, size).to(device, dtype) for n in (queries, keys, keys)]
    return next((name for name in KERNELS if agrees(KERNELS[name], reference, *parts)), None)


def agrees(kernel: Kernel, reference: Kernel, *parts: Tensor) -> bool:
    """Whether a kernel works and gives the reference's numbers; whatever it raises is a no."""
    query, key, value = parts
    row = query, key, value, _PROBE, query.shape[2] ** -0.5
    try:
        error = (kernel(*row).float() - reference(*row).float()).abs().max()
    except Exception:
        return False
    return bool(error < _TOLERANCE[query.dtype])


@lru_cache(_DEVICES)
def _bounds(lengths: Lengths, device: torch.device) -> Tensor:
    """Where each text begins, and where the last one ends: (B + 1,) int32."""
    return upload([0, *accumulate(lengths)], device).int()


@lru_cache(_DEVICES)
def _same_text(lengths: Lengths, device: torch.device) -> Any:
    """The block mask of a row: not later, and of the same text."""
    text = upload([index for index, length in enumerate(lengths) for _ in range(length)], device)

    def visible(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (text[query] == text[key])

    create = import_module("torch.nn.attention.flex_attention").create_block_mask
    return create(visible, None, None, len(text), len(text), device=device)


@lru_cache(_DEVICES)
def _places(lengths: Lengths, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which token of the row stands at each of the B · T places (padding: the row's last), and which of those
    places hold the row's N tokens, in order."""
    longest, starts = max(lengths), [0, *accumulate(lengths)]
    taken = [min(start + step, starts[-1] - 1) for start in starts[:-1] for step in range(longest)]
    real = [text * longest + step for text, length in enumerate(lengths) for step in range(length)]
    return upload(taken, device), upload(real, device)
