"""What a decoder layer computes between its matrix products, together with the sums, as two Triton kernels.

In a forward pass on a GPU the additions to the residual and the norm read and write every activation. The
sums need the same activations. In one kernel they are read once (GPUs only).
"""

import logging
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from layerscope.core.contribution import SUMS, token_sums
from layerscope.core.sums.triton_kernel import store_sums, warps

_PROBE_TOKENS = 64

log = logging.getLogger(__name__)


def add_and_norm(residual: Tensor, attended: Tensor, norm: Any, sums: Tensor | None) -> tuple[Tensor, Tensor]:
    """h + a, and its RMS norm; fills the sums of the attention.

    Args:
        residual, attended: (N, D) each, contiguous, of one dtype; h and a.
        norm: an RMS norm of transformers, with the attributes `weight` and `variance_epsilon`.
        sums: (7, N) float32, contiguous, receives the `token_sums` of the attention; None if not wanted.
    Returns: h + a and norm(h + a), (N, D) each, rounded as in the model.
    """
    tokens, units = residual.shape
    middle, normed = torch.empty_like(residual), torch.empty_like(residual)
    width = triton.next_power_of_2(units)
    with torch.cuda.device(residual.device):
        _add_and_norm[(tokens,)](
            *(residual, attended, norm.weight, middle, normed, sums, tokens, units, norm.variance_epsilon),
            WIDTH=width,
            num_warps=warps(width),
        )
    return middle, normed


def add(
    middle: Tensor,
    added: Tensor,
    residual: Tensor,
    attended: Tensor,
    mlp: Tensor | None,
    block: Tensor | None,
) -> Tensor:
    """h + a + m; fills the sums of the MLP and of the block.

    Args:
        middle, added, residual, attended: (N, D) each, contiguous, of one dtype; h + a, m, h, a.
        mlp, block: (7, N) float32 each, contiguous, receive the `token_sums`; None if not wanted.
    Returns: (N, D), the residual that leaves the layer, rounded as in the model.
    """
    tokens, units = residual.shape
    out = torch.empty_like(middle)
    width = triton.next_power_of_2(units)
    with torch.cuda.device(middle.device):
        _add[(tokens,)](
            *(middle, added, residual, attended, out, mlp, block, tokens, units),
            # As in hooks.py: in half precision the difference of two rounded residuals is not δ.
            PARTS=middle.dtype != torch.float32,
            WIDTH=width,
            num_warps=warps(width),
        )
    return out


# Triton's compiler refuses annotations other than its own.
@triton.jit  # type: ignore[untyped-decorator]
def _add_and_norm(  # type: ignore[no-untyped-def]
    residual,
    attended,
    weight,
    middle,
    normed,
    sums,
    tokens,
    units,
    epsilon,
    WIDTH: tl.constexpr,  # noqa: N803  # Triton's custom for constants of the compilation
):
    """One program per token. WIDTH is a power of two of at least `units`."""
    token = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    real = columns < units
    place = token * units + columns
    h = tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
    a = tl.load(attended + place, mask=real, other=0.0).to(tl.float32)
    rounded = (h + a).to(middle.dtype.element_ty)
    tl.store(middle + place, rounded, mask=real)
    x = rounded.to(tl.float32)
    x = (x * tl.rsqrt(tl.sum(x * x, 0) / units + epsilon)).to(normed.dtype.element_ty).to(tl.float32)
    scale = tl.load(weight + columns, mask=real, other=0.0).to(tl.float32)
    tl.store(normed + place, (scale * x).to(normed.dtype.element_ty), mask=real)
    if sums is not None:
        store_sums(sums, token, tokens, h, a)


@triton.jit  # type: ignore[untyped-decorator]
def _add(  # type: ignore[no-untyped-def]
    middle,
    added,
    residual,
    attended,
    out,
    mlp,
    block,
    tokens,
    units,
    PARTS: tl.constexpr,  # noqa: N803
    WIDTH: tl.constexpr,  # noqa: N803
):
    """One program per token. WIDTH is a power of two of at least `units`."""
    token = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    real = columns < units
    place = token * units + columns
    x = tl.load(middle + place, mask=real, other=0.0).to(tl.float32)
    m = tl.load(added + place, mask=real, other=0.0).to(tl.float32)
    rounded = (x + m).to(out.dtype.element_ty)
    tl.store(out + place, rounded, mask=real)
    if mlp is not None:
        store_sums(mlp, token, tokens, x, m)
    if block is not None:
        h = tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
        if PARTS:
            d = tl.load(attended + place, mask=real, other=0.0).to(tl.float32) + m
        else:
            d = rounded.to(tl.float32) - h
        store_sums(block, token, tokens, h, d)


@torch.inference_mode()
def works(norm: Any) -> bool:
    """Whether both kernels work on the device of this norm and agree with PyTorch; False for an exception."""
    units, like = len(norm.weight), norm.weight
    generator = torch.Generator().manual_seed(0)
    h, a, m = (torch.randn(_PROBE_TOKENS, units, generator=generator).to(like) for _ in range(3))
    found = [torch.empty(SUMS, _PROBE_TOKENS, device=like.device) for _ in range(3)]
    try:
        middle, normed = add_and_norm(h, a, norm, found[0])
        after = add(middle, m, h, a, found[1], found[2])
        parts = (a, m) if like.dtype != torch.float32 else (after,)
        block = token_sums(h, *parts, after=len(parts) == 1)
        for got, expected in zip(found, (token_sums(h, a), token_sums(middle, m), block), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6 * units)
        for got, expected in ((middle, h + a), (after, middle + m), (normed, norm(middle))):
            torch.testing.assert_close(got, expected)
    except Exception as error:  # no compiler, no headers, an unknown GPU, and others
        log.info("the layers are not fused: %s", str(error).strip() or type(error).__name__)
        return False
    return True
