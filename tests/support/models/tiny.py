"""Tiny random Llama models as real folders: config, safetensors, byte-level tokenizer; no downloads."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from layerscope.core.loading.transformers_logging import silenced_transformers

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
    """One token per byte, and with `bos` a BOS in front of every text, so that lengths are easy to count."""
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
    """A random `LlamaForCausalLM` with weights large enough for every component to change the residual."""
    torch.manual_seed(seed)
    settings = {**DEFAULTS, "vocab_size": 257, "tie_word_embeddings": False, "initializer_range": 0.2}
    model: Any = LlamaForCausalLM(LlamaConfig(**{**settings, **config}))
    ready: LlamaForCausalLM = model.to(dtype).eval()
    return ready


@torch.no_grad()
def add_massive_activation(model: LlamaForCausalLM, size: float = 300.0, unit: int = 5) -> None:
    """Makes layer 1 add `size` to one unit of the BOS token, as trained Llama models do at the first token.

    A hidden unit of the MLP of layer 1 has the direction of the BOS embedding, so it is active at that token
    and nearly inactive at others.
    """
    layer, bos = model.model.layers[1], model.model.embed_tokens.weight[0]
    direction = torch.zeros_like(bos)
    direction[unit] = 1.0
    bos.copy_(direction * 4)
    first = model.model.layers[0]
    for earlier in (first.self_attn.o_proj, first.mlp.down_proj, layer.self_attn.o_proj):
        earlier.weight.mul_(0.1)  # so that the direction of the BOS token hardly changes
    layer.mlp.gate_proj.weight[0] = direction
    layer.mlp.up_proj.weight[0] = direction
    layer.mlp.down_proj.weight[:, 0] = direction * (size / bos.numel())  # its activation is √D · √D


@torch.no_grad()
def add_known_activations(
    model: LlamaForCausalLM, written: int, removed: int, values: dict[int, float]
) -> None:
    """Makes the MLP of layer `written` add `values` (unit → value) to the BOS token alone, and the MLP of
    layer `removed` subtract them. No other layer adds anything.

    The BOS embedding has the direction of unit 0, which is 0 in all other tokens. The first value must be
    above 0.
    """
    embeddings = model.model.embed_tokens.weight
    embeddings[:, [0, *values]] = 0.0
    embeddings[0] = 0.0
    embeddings[0, 0] = 1.0
    for layer in range(model.config.num_hidden_layers):
        set_output_to_zero(model, layer)
    bos, added = embeddings[0].double(), torch.zeros(len(embeddings[0]), dtype=torch.float64)
    added[list(values)] = torch.tensor(list(values.values()), dtype=torch.float64)
    _write(model.model.layers[written].mlp, bos, 0, added)
    _write(model.model.layers[removed].mlp, bos + added, next(iter(values)), -added)


def _write(mlp: Any, token: torch.Tensor, unit: int, written: torch.Tensor) -> None:
    """Makes the first hidden unit of the MLP depend on one unit of the normed residual. At `token` its
    activation is known; where that unit is 0 its activation is 0."""
    read = token[unit] / (token.square().mean() + 1e-6).sqrt()  # rms_norm_eps
    for projection in (mlp.gate_proj, mlp.up_proj):
        projection.weight[0] = 0.0
        projection.weight[0, unit] = 1.0
    mlp.down_proj.weight[:, 0] = written / (read * torch.nn.functional.silu(read))


@torch.no_grad()
def set_output_to_zero(model: LlamaForCausalLM, layer: int) -> None:
    """Makes `layer` add exactly 0 to the residual: both of its output projections are zero."""
    model.model.layers[layer].self_attn.o_proj.weight.zero_()
    model.model.layers[layer].mlp.down_proj.weight.zero_()


@torch.no_grad()
def make_non_finite(model: LlamaForCausalLM, layer: int, byte: str) -> None:
    """Makes the residual of texts that contain `byte` non-finite at `layer`, and that of no other text.

    The embedding of the byte has the direction of unit 0, which nothing else uses. A hidden unit of the MLP
    of `layer` that depends only on unit 0 overflows: its gate times its up projection exceeds float32, and is
        0
    for every other byte.
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


def save(model: PreTrainedModel, folder: Path, bos: bool = True) -> Path:
    """Writes config, safetensors and tokenizer to `folder`."""
    with silenced_transformers():
        model.save_pretrained(folder)
    byte_tokenizer(bos).save_pretrained(folder)
    return folder


def count_hooks(module: torch.nn.Module) -> int:
    """The hooks on a module and its parts. PyTorch has no public function for this."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())
