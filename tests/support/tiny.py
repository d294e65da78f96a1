"""Tiny random Llamas, saved as real folders: config, safetensors, a byte-level tokenizer. No download."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from layerscope.core.loading.transformers_logging import quiet

BOS = "<s>"
DEFAULTS: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def byte_tokenizer(bos: bool = True) -> PreTrainedTokenizerFast:
    """One token a byte, and a BOS in front of every text where `bos`: lengths can be counted by eye."""
    symbols = [BOS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([BOS])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
        )
    wrapper: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = wrapper(tokenizer_object=tokenizer, bos_token=BOS)
    return wrapped


def causal_model(seed: int = 0, dtype: torch.dtype = torch.float32, **config: Any) -> LlamaForCausalLM:
    """A random `LlamaForCausalLM` with weights large enough that every component moves the residual."""
    torch.manual_seed(seed)
    settings = {**DEFAULTS, "vocab_size": 257, "tie_word_embeddings": False, "initializer_range": 0.2}
    model: Any = LlamaForCausalLM(LlamaConfig(**{**settings, **config}))
    ready: LlamaForCausalLM = model.to(dtype).eval()
    return ready


@torch.no_grad()
def add_giants(model: LlamaForCausalLM, size: float = 300.0, unit: int = 5) -> None:
    """Makes layer 1 write `size` into one unit of the BOS token, as trained Llamas do on their first token.

    A hidden MLP unit of layer 1 is tied to the BOS embedding: it fires there and hardly elsewhere.
    """
    layer, bos = model.model.layers[1], model.model.embed_tokens.weight[0]
    direction = torch.zeros_like(bos)
    direction[unit] = 1.0
    bos.copy_(direction * 4)
    first = model.model.layers[0]
    for earlier in (first.self_attn.o_proj, first.mlp.down_proj, layer.self_attn.o_proj):
        earlier.weight.mul_(0.1)  # so that the BOS token still points where it did
    layer.mlp.gate_proj.weight[0] = direction
    layer.mlp.up_proj.weight[0] = direction
    layer.mlp.down_proj.weight[:, 0] = direction * (size / bos.numel())  # it fires at √D · √D


@torch.no_grad()
def plant(model: LlamaForCausalLM, written: int, erased: int, peaks: dict[int, float]) -> None:
    """Makes the MLP of layer `written` write `peaks` (unit → value) on the BOS token alone, and that of layer
    `erased` take them away; no other layer writes anything.

    The BOS embedding points along unit 0, which no other token has; peaks need a first one above 0.
    """
    embeddings = model.model.embed_tokens.weight
    embeddings[:, [0, *peaks]] = 0.0
    embeddings[0] = 0.0
    embeddings[0, 0] = 1.0
    for layer in range(model.config.num_hidden_layers):
        silence(model, layer)
    bos, planted = embeddings[0].double(), torch.zeros(len(embeddings[0]), dtype=torch.float64)
    planted[list(peaks)] = torch.tensor(list(peaks.values()), dtype=torch.float64)
    _write(model.model.layers[written].mlp, bos, 0, planted)
    _write(model.model.layers[erased].mlp, bos + planted, next(iter(peaks)), -planted)


def _write(mlp: Any, token: torch.Tensor, unit: int, written: torch.Tensor) -> None:
    """The MLP's first hidden unit reads one unit of the normed residual: at `token` it fires by a known
    amount, and not at all where that unit is 0."""
    read = token[unit] / (token.square().mean() + 1e-6).sqrt()  # rms_norm_eps
    for projection in (mlp.gate_proj, mlp.up_proj):
        projection.weight[0] = 0.0
        projection.weight[0, unit] = 1.0
    mlp.down_proj.weight[:, 0] = written / (read * torch.nn.functional.silu(read))


@torch.no_grad()
def silence(model: LlamaForCausalLM, layer: int) -> None:
    """Makes `layer` write exactly nothing: both of its writing projections are zero."""
    model.model.layers[layer].self_attn.o_proj.weight.zero_()
    model.model.layers[layer].mlp.down_proj.weight.zero_()


@torch.no_grad()
def poison(model: LlamaForCausalLM, layer: int, byte: str) -> None:
    """Makes texts that hold `byte` leave the finite numbers at `layer`, and no other text.

    The byte's embedding points along unit 0, which nothing else uses, and a hidden MLP unit of `layer` that
    reads unit 0 alone overflows there: its gate times its up projection is beyond float32, and 0 for every
    other byte.
    """
    token = sorted(pre_tokenizers.ByteLevel.alphabet()).index(byte) + 1
    model.model.embed_tokens.weight[:, 0] = 0.0
    model.model.embed_tokens.weight[token] = 0.0
    model.model.embed_tokens.weight[token, 0] = 5.0
    for block in model.model.layers:
        block.self_attn.o_proj.weight[0] = 0.0
        block.mlp.down_proj.weight[0] = 0.0
    mlp = model.model.layers[layer].mlp
    for projection in (mlp.gate_proj, mlp.up_proj):
        projection.weight[0] = 0.0
        projection.weight[0, 0] = 1e20
    mlp.down_proj.weight[:, 0] = 1.0


def save(model: LlamaForCausalLM, folder: Path, bos: bool = True) -> Path:
    """Writes config, safetensors and tokenizer to `folder`."""
    with quiet():
        model.save_pretrained(folder)
    byte_tokenizer(bos).save_pretrained(folder)
    return folder
