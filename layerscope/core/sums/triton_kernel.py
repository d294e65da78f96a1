"""`token_sums` as a Triton kernel, which reads every activation once (GPUs only)."""

import logging

import torch
import triton
import triton.language as tl
from torch import Tensor

from layerscope.core.contribution import SUMS, token_sums

_PROBE_TOKENS = 64
_UNITS_PER_WARP = 1_024  # at 3,072 units 4 warps are the fastest of 2, 4, 8 and 16

log = logging.getLogger(__name__)


def triton_sums(residual: Tensor, *parts: Tensor, after: bool = False) -> Tensor:
    """`token_sums` for tensors on a GPU; the arguments and the result are the same."""
    tokens, units = residual.shape
    out = torch.empty(SUMS, tokens, dtype=torch.float32, device=residual.device)
    width = triton.next_power_of_2(units)
    first, second = parts[0].contiguous(), parts[1].contiguous() if len(parts) == 2 else None
    with torch.cuda.device(residual.device):
        _kernel[(tokens,)](
            *(residual.contiguous(), first, second, out, tokens, units),
            AFTER=after,
            WIDTH=width,
            num_warps=warps(width),
        )
    return out


def warps(width: int) -> int:
    """The warps of a program that holds `width` units of one token."""
    return min(max(width // _UNITS_PER_WARP, 1), 16)


# Triton's compiler refuses annotations other than its own.
@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    residual,
    first,
    second,
    out,
    tokens,
    units,
    AFTER: tl.constexpr,  # noqa: N803  # Triton's custom for constants of the compilation
    WIDTH: tl.constexpr,  # noqa: N803
):
    """One program per token.

    `residual`, `first` and `second` point to (tokens, units) values, `out` to (7, tokens) float32. If δ has
    one part, `second` is None. WIDTH is a power of two of at least `units`.
    """
    token = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    real = columns < units
    place = token * units + columns
    h = tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
    d = tl.load(first + place, mask=real, other=0.0).to(tl.float32)
    if AFTER:
        d = d - h
    if second is not None:
        d = d + tl.load(second + place, mask=real, other=0.0).to(tl.float32)
    store_sums(out, token, tokens, h, d)


@triton.jit
def store_sums(out, token, tokens, h, d):  # type: ignore[no-untyped-def]
    """Writes the seven sums of a token to column `token` of `out`, a pointer to (7, tokens) float32.

    h and d: (WIDTH,) float32, the residual and δ of the token, 0 beyond its units.
    """
    after = h + d
    # One reduction of six values synchronises the threads once, not six times.
    d_sum, d_abs, d_square, h_square, h_dot_d, after_square = tl.reduce(
        (d, tl.abs(d), d * d, h * h, h * d, after * after), 0, _add
    )
    norm, norm_after = tl.sqrt(h_square), tl.sqrt(after_square)
    growth = tl.where(norm > 0, (2 * h_dot_d + d_square) / ((norm + norm_after) * norm), 0.0)
    turned = d - growth * h
    tl.store(out + token, d_sum)
    tl.store(out + tokens + token, d_abs)
    tl.store(out + 2 * tokens + token, d_square)
    tl.store(out + 3 * tokens + token, h_square)
    tl.store(out + 4 * tokens + token, h_dot_d)
    tl.store(out + 5 * tokens + token, after_square)
    tl.store(out + 6 * tokens + token, tl.sum(turned * turned, 0))


@triton.jit
def _add(a, b, c, d, e, f, a2, b2, c2, d2, e2, f2):  # type: ignore[no-untyped-def]
    return a + a2, b + b2, c + c2, d + d2, e + e2, f + f2


@torch.inference_mode()
def works(units: int, dtype: torch.dtype, device: str) -> bool:
    """Whether the kernel works on this device and agrees with `token_sums`; False for any exception."""
    generator = torch.Generator().manual_seed(0)
    h, a, m = (torch.randn(_PROBE_TOKENS, units, generator=generator).to(device, dtype) for _ in range(3))
    try:
        for parts, after in (((a,), False), ((a, m), False), ((a,), True)):
            found, expected = (sums(h, *parts, after=after) for sums in (triton_sums, token_sums))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * units)
    except Exception as error:  # no compiler, no headers, an unknown GPU, and others
        log.info("the sums do not use Triton: %s", str(error).strip() or type(error).__name__)
        return False
    return True
