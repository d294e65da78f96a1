"""Attention over a packed batch: implementations that take the same arguments and give the same numbers.

`loop` calls attention once per text. On a GPU that would be one kernel launch per text, so `varlen` and
`padded` process all texts in one call. `choose_kernel` tests which of them works on a device. What they
cannot do (a soft cap; for `padded` also a window) they leave to `loop`.
"""

from functools import cache, lru_cache
from importlib import import_module
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from layerscope.core.attention.one_text import attend
from layerscope.core.transfer import upload
from layerscope.core.types import Kernel

Lengths = tuple[int, ...]

_DEVICES = 16  # a model that is spread over several devices needs the layout of a batch on each of them
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}
_PROBE = (5, 1, 130, 64)  # lengths of the texts of the probe: one token, and more than one tile of a kernel
_PROBE_WINDOW = 20


def loop(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Lengths,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
) -> Tensor:
    """One call per text, with the instructions and therefore the bits of the text alone.

    The fastest kernel on a CPU, and the reference for the others.

    Args:
        query: (N, H, d); the N tokens of all texts, one text after the other.
        key, value: (N, K, d), H a multiple of K: neighbouring query heads share a key head.
        lengths: the tokens of each text, in the order of the batch; their sum is N.
        scale, window, cap: see `attend`.
    Returns: (N, H, d).
    """
    groups = query.shape[1] // key.shape[1]
    # Repeated once per batch: with enable_gqa, the float32 kernels of CUDA fall back to the quadratic
    # product.
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    heads = (torch.split(part.transpose(0, 1)[None], list(lengths), 2) for part in (query, key, value))
    attended = [
        attend(q, k, v, scale, window, cap).transpose(1, 2)  # (1, T, H, d)
        for q, k, v in zip(*heads, strict=True)
    ]
    return torch.cat(attended, 1)[0]


def varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Lengths,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
) -> Tensor:
    """PyTorch's flash attention for variable lengths (CUDA)."""
    if cap is not None:
        return loop(query, key, value, lengths, scale, window, cap)
    attention, bounds, longest = _varlen(), _bounds(lengths, query.device), max(lengths)
    # PyTorch 2.11 always accepts grouped heads and has no switch for them. Without splits the numbers of a
    # text do not depend on the other texts of its batch.
    wanted = {"enable_gqa": query.shape[1] != key.shape[1], "num_splits": 1}
    accepted = {name: value for name, value in wanted.items() if name in _parameters(attention)}
    out: Tensor = attention(
        *(query, key, value, bounds, bounds, longest, longest),
        **{"scale": scale, "window_size": (-1 if window is None else window - 1, 0), **accepted},
    )
    return out


@cache
def _varlen() -> Any:
    return import_module("torch.nn.attention.varlen").varlen_attn


@cache
def _parameters(function: Any) -> frozenset[str]:
    """The names of the parameters. Cached, because every layer of every batch asks for them."""
    return frozenset(signature(function).parameters)


def padded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Lengths,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
) -> Tensor:
    """The texts as rows of one tensor, padded on the right.

    In causal attention a token never attends to later ones, so no mask is needed and the fast kernels apply.
    """
    if window is not None or cap is not None:
        return loop(query, key, value, lengths, scale, window, cap)
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


KERNELS: dict[str, Kernel] = {"loop": loop, "varlen": varlen, "padded": padded}
ONE_CALL = ("varlen", "padded")  # the faster one on a GPU comes first


@torch.inference_mode()
def choose_kernel(
    device: str, dtype: torch.dtype, heads: tuple[int, int, int], windowed: bool = False
) -> str:
    """The first of ONE_CALL that works on the device and agrees there with `loop`; "loop" if none does.

    Args:
        heads: query heads, key heads, units per head of the model.
        windowed: whether some layers of the model have a sliding window.
    """
    queries, keys, size = heads
    q, k, v = (torch.randn(sum(_PROBE), n, size).to(device, dtype) for n in (queries, keys, keys))
    windows = (None, _PROBE_WINDOW) if windowed else (None,)
    works = (name for name in ONE_CALL if all(agrees(KERNELS[name], q, k, v, window) for window in windows))
    return next(works, "loop")


def agrees(kernel: Kernel, query: Tensor, key: Tensor, value: Tensor, window: int | None = None) -> bool:
    """Whether a kernel works and gives the numbers of `loop`; False for any exception."""
    arguments = query, key, value, _PROBE, query.shape[2] ** -0.5, window
    try:
        error = (kernel(*arguments).float() - loop(*arguments).float()).abs().max()
    except Exception:
        return False
    return bool(error < _TOLERANCE[query.dtype])


@lru_cache(_DEVICES)
def _bounds(lengths: Lengths, device: torch.device) -> Tensor:
    """Where each text begins, and where the last one ends: (B + 1,) int32."""
    return upload([0, *accumulate(lengths)], device).int()


@lru_cache(_DEVICES)
def _places(lengths: Lengths, device: torch.device) -> tuple[Tensor, Tensor]:
    """The layout of the padded texts.

    Returns: (B · T,), the token of the batch at each place (at padding: the last token of the batch), and
        (N,), the places of the N tokens in order.
    """
    longest, starts = max(lengths), [0, *accumulate(lengths)]
    taken = [min(start + step, starts[-1] - 1) for start in starts[:-1] for step in range(longest)]
    real = [text * longest + step for text, length in enumerate(lengths) for step in range(length)]
    return upload(taken, device), upload(real, device)
