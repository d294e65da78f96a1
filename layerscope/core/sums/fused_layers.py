"""Runs the decoder layers with the fused kernels, which fill the sums instead of hooks (GPUs only)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor

from layerscope.core.families import FAMILIES
from layerscope.core.model import blocks

_KERNELS = "layerscope.core.sums.fused_kernels"  # imported only on a GPU: Triton comes with its PyTorch


def can_be_fused(module: Any) -> bool:
    """Whether the layers of the model can be run by `fused_layers` here, with the same numbers.

    Args: `module`: a model of a supported family, on a GPU.
    """
    layers = [block.layer for block in blocks(module)]
    if not FAMILIES[module.config.model_type].adds_directly or any(
        "forward" in vars(part) for part in layers
    ):
        return False
    norm: Any = layers[0].post_attention_layernorm
    try:
        return bool(import_module(_KERNELS).works(norm))
    except ImportError:
        return False


@contextmanager
def fused_layers(module: Any, sums: Sequence[Mapping[str, Tensor]]) -> Iterator[None]:
    """Within it, a forward pass over a packed batch of N tokens fills the sums.

    Args:
        module: a model that `can_be_fused`.
        sums: for each layer, the tensor of each component that is measured; (7, N) float32, contiguous.
    """
    layers: list[Any] = [block.layer for block in blocks(module)]
    try:
        for layer, of_layer in zip(layers, sums, strict=True):
            layer.forward = partial(_forward, layer, of_layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _forward(layer: Any, sums: Mapping[str, Tensor], hidden_states: Tensor, **named: Any) -> Tensor:
    """The forward pass of a layer that adds what attention and MLP return; the arguments are those of
    transformers."""
    kernels = import_module(_KERNELS)
    attended, _ = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **named)
    shape, (h, a) = hidden_states.shape, map(_flat, (hidden_states, attended))
    middle, normed = kernels.add_and_norm(h, a, layer.post_attention_layernorm, sums.get("attention"))
    m = _flat(layer.mlp(normed.view(shape)))
    after: Tensor = kernels.add(middle, m, h, a, sums.get("mlp"), sums.get("block"))
    return after.view(shape)


def _flat(activations: Tensor) -> Tensor:
    """(1, N, D) → (N, D), contiguous."""
    return activations.flatten(0, 1).contiguous()
