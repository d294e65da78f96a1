"""A loaded model and its architecture: where the layers, the attention and the MLP are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaModel

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
    max_tokens: int  # max_position_embeddings; for longer texts transformers gives numbers without a warning
    module: LlamaModel
    tokenizer: Any
    # How this machine computes. These change the speed, and the numbers only by rounding.
    matmul: str = "default"  # matrix products on a CPU: "default" (PyTorch's own) or "onednn"
    reduction: str = "eager"  # the seven sums: "eager" or "compiled"
    attention: str = "loop"  # the name of a kernel in attention/kernels.py


def blocks(module: LlamaModel) -> list[Block]:
    """The decoder layers in order. The argument of `post_attention_layernorm` is h + a, bit for bit."""
    layers: Any = module.layers
    return [Block(layer, layer.self_attn, layer.post_attention_layernorm, layer.mlp) for layer in layers]
