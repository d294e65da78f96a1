"""A loaded model, and the modules of its layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from layerscope.core.families import FAMILIES
from layerscope.core.types import Block
from layerscope.names import DType

DTYPES: dict[str, torch.dtype] = {name.value: getattr(torch, name.value) for name in DType}


@dataclass(frozen=True)
class Model:
    """A loaded model. `module` has no language model head; only analyses need one (`load_head`).

    `revision`: the commit of a hub model; for a local folder "sha256:" and 32 hexadecimal digits, a hash of
    the names and contents of its configuration, weights and tokenizer.
    """

    source: str
    folder: Path  # contains the files of this revision
    revision: str
    layers: int
    hidden_size: int
    dtype: str  # "float32", "bfloat16" or "float16"
    device: str  # "cpu" or "cuda:N"
    max_tokens: int  # the context; for longer texts transformers gives numbers without a warning
    module: Any  # the model of transformers without a head; its parts depend on the family
    tokenizer: Any
    # How this machine computes. These change the speed, and the numbers only by rounding.
    matmul: str = "default"  # matrix products on a CPU: "default" (PyTorch's own) or "onednn"
    # The seven sums: "eager", "compiled", "triton", or "fused" with the rest of the layer in Triton kernels.
    reduction: str = "eager"
    modules: str = "eager"  # the norms and MLPs of the layers: "eager" or "compiled"
    attention: str = "loop"  # the name of a kernel in attention/kernels.py
    rotary: str = "eager"  # the rotary embedding: "eager" or "triton"


def blocks(module: Any) -> list[Block]:
    """The decoder layers in order, with the modules at which its family is observed."""
    family = FAMILIES[module.config.model_type]
    factor = 1.0 if family.factor is None else float(getattr(module.config, family.factor))
    return [
        Block(
            layer=layer,
            attention=getattr(layer, family.attention),
            middle=getattr(layer, family.middle),
            mlp=getattr(layer, family.mlp),
            factor=factor,
        )
        for layer in module.layers
    ]
