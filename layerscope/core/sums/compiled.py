"""`token_sums` compiled by PyTorch: one pass over the residual instead of one per sum."""

import logging
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from layerscope.core.contribution import Sums, delta, norm_growth, token_sums

_PROBE_TOKENS = 64  # the compiled code accepts every number of tokens except 1

log = logging.getLogger(__name__)


def fused_sums(residual: Tensor, *parts: Tensor, after: bool = False) -> Tensor:
    """`token_sums` in a form that the compiler turns into one pass over memory.

    The seventh sum needs a second pass, over data that are then in the cache.
    """
    h = residual.float()
    d = delta(h, parts, after)
    d_square, h_square, h_dot_d = (d * d).sum(-1), (h * h).sum(-1), (h * d).sum(-1)
    after_square = (h + d).square().sum(-1)
    turned = d - norm_growth(d_square, h_square, h_dot_d, after_square)[:, None] * h
    return torch.stack(
        [d.sum(-1), d.abs().sum(-1), d_square, h_square, h_dot_d, after_square, turned.square().sum(-1)]
    )


@cache
def compiled_sums() -> Sums:
    """The compiled `token_sums`. Use it only after `compile_sums` has returned True."""
    # One compile thread: the compiler's pool of worker processes would survive a worker that is killed.
    compiled: Any = torch.compile(fused_sums, fullgraph=True, options={"compile_threads": 1})
    return compiled  # type: ignore[no-any-return]


@torch.inference_mode()
def compile_sums(units: int, dtype: torch.dtype, device: str) -> bool:
    """Compiles the reduction for residuals of this size and dtype, in this process; takes seconds.

    Returns: whether `compiled_sums` may be used. False, without an error, if there is no compiler or if its
        numbers are wrong.
    """
    generator = torch.Generator().manual_seed(0)
    # Three tensors instead of parts of one: the memory layout must be that of a layer's outputs.
    h, a, m = (torch.randn(_PROBE_TOKENS, units, generator=generator).to(device, dtype) for _ in range(3))
    try:
        for part in (h, a, m):
            _mark_tokens_dynamic(part)
        with warnings.catch_warnings(action="ignore"):  # those of the compiler; none concerns our code
            _compile_for(h, a)
            if dtype == torch.float32:  # the two forms in which hooks report a block
                _compile_for(h, a, after=True)
            else:
                _compile_for(h, a, m)
    except Exception as error:  # no g++, no headers, a cache folder that is not writable, and others
        log.info("the reduction is not compiled: %s", str(error).strip() or type(error).__name__)
        return False
    return True


def _mark_tokens_dynamic(part: Tensor) -> None:
    """Lets the compiled code accept any number of tokens.

    PyTorch documents `mark_dynamic` under this name; it has no public alias. The public `dynamic=True` would
    also leave the number of units open, which makes the code slower. A test fails if the name disappears.
    """
    torch._dynamo.mark_dynamic(part, 0)


def _compile_for(*tensors: Tensor, after: bool = False) -> None:
    """Compiles and compares with the eager sums. Raises: any exception, also for wrong numbers."""
    found, expected = compiled_sums()(*tensors, after=after), token_sums(*tensors, after=after)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * tensors[0].shape[1])
