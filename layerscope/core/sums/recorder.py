"""The sums of all tokens of a batch, recorded while the model runs."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from layerscope.core.contribution import SUMS, Sums, token_sums
from layerscope.core.hooks import contributions
from layerscope.core.model import Model, blocks
from layerscope.core.sums.compiled import compiled_sums
from layerscope.core.sums.fused_layers import fused_layers


@contextmanager
def batch_sums(model: Model, components: Sequence[str], tokens: int) -> Iterator[Tensor]:
    """Within it, a forward pass over a packed batch of N tokens fills the tensor.

    Yields: (C, L, 7, N) float32 on the device of the model, the `token_sums` of each component and layer; not
        initialised before the forward pass.
    """
    sums = torch.empty(len(components), model.layers, SUMS, tokens, device=model.device)
    with _no_compilation(model), _filling(model, components, sums):
        yield sums


def _filling(model: Model, components: Sequence[str], sums: Tensor) -> AbstractContextManager[None]:
    """Within it, a forward pass fills `sums`, of the shape in `batch_sums`."""
    if model.reduction == "fused":
        of_layers = [dict(zip(components, of_layer, strict=True)) for of_layer in sums.transpose(0, 1)]
        return fused_layers(model.module, of_layers)
    reduce = _sums(model.reduction)

    def record(layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False) -> None:
        found = reduce(residual, *parts, after=after)  # (7, N)
        sums[components.index(component), layer].copy_(found, non_blocking=True)

    return contributions(blocks(model.module), components, record)


def _sums(reduction: str) -> Sums:
    if reduction == "triton":
        # Imported only where it is used: Triton exists only with the PyTorch for GPUs.
        kernel: Sums = import_module("layerscope.core.sums.triton_kernel").triton_sums
        return kernel
    return compiled_sums() if reduction == "compiled" else token_sums


def _no_compilation(model: Model) -> AbstractContextManager[Any]:
    """Within it nothing is compiled: inputs for which no compiled code exists are computed eagerly."""
    if model.reduction != "compiled" and model.modules == "eager":
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("eager_on_recompile")
    return stance
