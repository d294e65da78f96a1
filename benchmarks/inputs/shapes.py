"""Llama models of known shapes with random weights, built when they are needed.

Speed does not depend on the values of the weights, so nothing is downloaded. The tokenizer is byte-level: a
text of n ASCII characters has n + 1 tokens (including BOS), so every length is exact.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from layerscope.core.loading.transformers_logging import silenced_transformers

_SEED = 0
_BOS = "<s>"


@dataclass(frozen=True)
class Shape:
    """The dimensions of a Llama model."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    saved_as: str = "float32"
    positions: int = 16_384

    @property
    def flops_per_token(self) -> int:
        """2 × the parameters of the matrices in the layers.

        The embedding, the LM head, the norms and the attention scores are not counted.
        """
        head = self.hidden // self.heads
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_heads * head
        return 2 * self.layers * (attention + 3 * self.hidden * self.intermediate)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("tiny", 32, 3, 4, 2, 64, 257),
        Shape("d64", 64, 8, 4, 2, 256, 4_096),
        Shape("smollm2-135m", 576, 30, 9, 3, 1_536, 49_152),
        Shape("llama-3.2-1b", 2_048, 16, 32, 8, 8_192, 128_256, "bfloat16"),
        Shape("llama-3.2-3b", 3_072, 28, 24, 8, 8_192, 128_256, "bfloat16"),
    )
}


def ensure_model(shape: Shape, folder: Path) -> Path:
    """The model of this shape in a subfolder of `folder`.

    A missing model is built in a temporary folder, so an interrupted build leaves no incomplete model.
    """
    target = folder / shape.name
    if (target / "config.json").is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{shape.name}-", dir=folder))
    try:
        _build(shape, building)
        os.rename(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _build(shape: Shape, folder: Path) -> None:
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions,
        bos_token_id=0,
        tie_word_embeddings=True,
    )
    torch.manual_seed(_SEED)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = LlamaForCausalLM(config)
    with silenced_transformers():
        model.to(getattr(torch, shape.saved_as)).save_pretrained(folder)
    _byte_tokenizer(shape.vocabulary).save_pretrained(folder)


def _byte_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """One token per byte, and a BOS token before every text. The other tokens are in no text."""
    symbols = [_BOS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    symbols += [f"unused {i}" for i in range(len(symbols), vocabulary)]
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([_BOS])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{_BOS} $A", special_tokens=[(_BOS, 0)])
    wrapper: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = wrapper(tokenizer_object=tokenizer, bos_token=_BOS)
    return wrapped
