"""The `demo` model: a small, real, UNTRAINED Llama that is built at first use and needs no network.

It has every part of a Llama (grouped-query heads, RMSNorm, SwiGLU, a BOS token in front of every text), so
whatever works on it works on a trained one. Its weights are random: its numbers say nothing about language.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from worker.core.quiet import quiet
from worker.core.vocabulary import ModelError

SAMPLES = Path(__file__).parents[2] / "samples"

_BOS, _EOS = "<|begin_of_text|>", "<|end_of_text|>"
_VOCABULARY = 4_096
_SEED = 20_240_925


def ensure_demo_model(folder: Path) -> Path:
    """The folder of the demo model, built now if it isn't there.

    The same samples give the same bytes, every time. Built beside `folder` and renamed, so that the folder is
    either complete or absent, whoever is killed and however many processes race.

    Raises: ModelError if the sample texts, on which the tokenizer is trained, are missing.
    """
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _build(building, _samples())
        os.rename(building, folder)
    except OSError:
        if not (folder / "config.json").is_file():  # not because another process was first
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _samples() -> list[str]:
    files = sorted(SAMPLES.glob("*.json"))
    if not files:
        raise ModelError(
            f"The demo model's tokenizer is trained on {SAMPLES}, which has no *.json: restore it."
        )
    return [text for file in files for text in json.loads(file.read_text(encoding="utf-8"))]


def _build(folder: Path, texts: list[str]) -> None:
    tokenizer = _train_tokenizer(texts)
    with quiet():
        _random_model(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE: any text has tokens, none is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[_BOS, _EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{_BOS} $A", special_tokens=[(_BOS, 0)])
    wrapper: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = wrapper(tokenizer_object=tokenizer, bos_token=_BOS, eos_token=_EOS)
    return wrapped


def _random_model(vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=12,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        initializer_range=0.07,  # 1/√192: products keep their size
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config)
        for depth, layer in enumerate(model.model.layers):
            # As in trained models late layers write more than early ones, so that pictures of it have a
            # shape.
            strength = 0.2 + 1.8 * (depth / (config.num_hidden_layers - 1)) ** 2
            layer.self_attn.o_proj.weight.mul_(strength)
            layer.mlp.down_proj.weight.mul_(strength)
    return model
