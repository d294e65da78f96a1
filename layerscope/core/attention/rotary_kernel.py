"""The rotary embedding of queries and keys as one Triton kernel (GPUs only).

Eager PyTorch reads and writes queries and keys five times, which takes a sixth of a forward pass. In half
precision it rounds every product; the kernel rounds only the result.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

Rotate = Callable[..., tuple[Tensor, Tensor]]

_NAME = "apply_rotary_pos_emb"  # the function of transformers, in the module of every supported family
_PROBE_TOKENS = 64

log = logging.getLogger(__name__)


def rotate(query: Tensor, key: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
    """`apply_rotary_pos_emb` of transformers for a packed batch on a GPU.

    Args:
        query, key: (1, H, N, d) and (1, K, N, d), any strides with the d units next to each other.
        cosines, sines: (1, N, d), contiguous, of the same dtype.
    Returns: the rotated queries and keys in the same shapes, with the units of a token next to each other.
    """
    return _rotated(query, cosines, sines), _rotated(key, cosines, sines)


def _rotated(vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    _, heads, tokens, size = vectors.shape
    out = torch.empty(1, tokens, heads, size, dtype=vectors.dtype, device=vectors.device).transpose(1, 2)
    with torch.cuda.device(vectors.device):
        _kernel[(tokens,)](
            *(vectors, cosines, sines, out, heads, size // 2, vectors.stride(1), vectors.stride(2)),
            HEADS=triton.next_power_of_2(heads),
            HALF=triton.next_power_of_2(size // 2),
        )
    return out


# Triton's compiler refuses annotations other than its own.
@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    vectors,
    cosines,
    sines,
    out,
    heads,
    half,
    head_stride,
    token_stride,
    HEADS: tl.constexpr,  # noqa: N803  # Triton's custom for constants of the compilation
    HALF: tl.constexpr,  # noqa: N803
):
    """One program per token. HEADS and HALF are powers of two of at least `heads` and `half`."""
    token = tl.program_id(0).to(tl.int64)
    head, unit = tl.arange(0, HEADS)[:, None], tl.arange(0, HALF)[None, :]
    real = (head < heads) & (unit < half)
    angle = token * 2 * half + unit
    cos, cos2 = _load(cosines + angle, unit < half), _load(cosines + angle + half, unit < half)
    sin, sin2 = _load(sines + angle, unit < half), _load(sines + angle + half, unit < half)
    place = vectors + token * token_stride + head * head_stride + unit
    x, y = _load(place, real), _load(place + half, real)
    to = out + (token * heads + head) * 2 * half + unit
    tl.store(to, (x * cos - y * sin).to(out.dtype.element_ty), mask=real)
    tl.store(to + half, (y * cos2 + x * sin2).to(out.dtype.element_ty), mask=real)


@triton.jit
def _load(place, real):  # type: ignore[no-untyped-def]
    return tl.load(place, mask=real, other=0.0).to(tl.float32)


@torch.inference_mode()
def works(attention: Any, heads: tuple[int, int, int], like: Tensor) -> bool:
    """Whether the kernel agrees with the function that this attention layer calls; False for any exception.

    Args:
        heads: query heads, key heads, units per head of the model.
        like: a tensor with the dtype and the device of the model.
    """
    queries, keys, size = heads
    generator = torch.Generator().manual_seed(0)
    shapes = (queries, size), (keys, size), (size,), (size,)
    q, k, cosines, sines = (
        torch.randn(1, _PROBE_TOKENS, *shape, generator=generator).to(like) for shape in shapes
    )
    q, k = q.transpose(1, 2), k.transpose(1, 2)
    try:
        eager: Rotate = getattr(sys.modules[type(attention).__module__], _NAME)
        exact = eager(*(part.float() for part in (q, k, cosines, sines)))
        found = tuple(part.float() for part in rotate(q, k, cosines, sines))
        torch.testing.assert_close(found, exact, rtol=torch.finfo(like.dtype).eps, atol=1e-6)
    except Exception as error:  # no compiler, no headers, an unknown GPU, and others
        log.info("the rotary embedding does not use Triton: %s", str(error).strip() or type(error).__name__)
        return False
    return True


@contextmanager
def fast_rotary(attention: Any) -> Iterator[None]:
    """Within it, the attention layers of this family use the kernel for tensors on a GPU."""
    family = sys.modules[type(attention).__module__]
    slow: Rotate = getattr(family, _NAME)

    def apply(query: Tensor, key: Tensor, cosines: Tensor, *rest: Any, **named: Any) -> tuple[Tensor, Tensor]:
        # In some families a part of the units of a head keeps its value: there are fewer cosines.
        packed = query.is_cuda and cosines.shape == (1, *query.shape[2:]) and cosines.dtype == query.dtype
        fast = packed and len(rest) == 1 and not named
        return (rotate if fast else slow)(query, key, cosines, *rest, **named)

    setattr(family, _NAME, apply)
    try:
        yield
    finally:
        setattr(family, _NAME, slow)
