"""The norms and MLPs of the layers, compiled by PyTorch (GPUs only).

In a forward pass on a GPU, the operations between the matrix products move more memory than the products.
Compiled, each norm and each activation function is one kernel. The model itself is not compiled: that would
take minutes, and the hooks of the measurement would be part of the compiled code.
"""

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.core.types import Block

_PROBE_TOKENS = (64, 96)  # two numbers of tokens: with the second one, a code for a single number would fail
# The compiled code rounds to the dtype of the model less often. Relative to the largest element.
_TOLERANCE = {torch.float32: 1e-5, torch.float16: 2**-8, torch.bfloat16: 2**-6}

log = logging.getLogger(__name__)


@torch.inference_mode()
def compile_modules(blocks: list[Block]) -> bool:
    """Compiles the norms and the MLPs in place, in this process; takes seconds. Hooks on them keep working.

    Returns: whether the modules are compiled. False, without an error, if there is no compiler or if its
        numbers are wrong; the modules are then as before.
    """
    parts = [part for block in blocks for part in _parts(block)]
    try:
        with warnings.catch_warnings(action="ignore"):  # those of the compiler; none concerns our code
            for part in parts:
                _compile(part)
    except Exception as error:
        log.info("norms and MLPs are not compiled: %s", str(error).strip() or type(error).__name__)
        for part in parts:
            part.__dict__.pop("forward", None)
        return False
    return True


def _parts(block: Block) -> Iterator[nn.Module]:
    """The norms that are applied to whole tokens, and the MLP."""
    yield from (part for part in block.layer.children() if type(part).__name__.endswith("Norm"))
    yield block.mlp


def _compile(part: Any) -> None:
    """Raises: any exception, also for wrong numbers."""
    weight = next(part.parameters())
    units = weight.shape[-1]
    inputs = [torch.randn(1, tokens, units).to(weight) for tokens in _PROBE_TOKENS]
    expected = [part(x) for x in inputs]
    part.forward = torch.compile(part.forward, dynamic=True, options={"compile_threads": 1})
    for x, eager in zip(inputs, expected, strict=True):
        _check(part(x), eager)


def _check(found: Tensor, expected: Tensor) -> None:
    error = (found.float() - expected.float()).abs().max() / expected.float().abs().max()
    if not error < _TOLERANCE[expected.dtype]:
        raise ValueError(f"the compiled code differs by {error:.1e}")
