"""`load_model()`: a model, and what this machine measures it fastest with, found once by trying."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from layerscope.core.attention.kernels import choose_kernel
from layerscope.core.attention.packed import loop
from layerscope.core.contribution import compile_sums
from layerscope.core.loading.checkpoint import DTYPES, Model, blocks, read_head, read_model
from layerscope.core.loading.matmul import ONEDNN, choose_product, use_onednn
from layerscope.core.loading.process_setup import keep_caches_small, keep_heap

# Compiling the reduction takes seconds and saves a twentieth of the time that measuring takes on a CPU.
_WORTH_COMPILING = 50_000_000  # weights of the layers


def load_model(
    source: str | Path,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    *,
    matmul: str = "auto",
    reduction: str = "auto",
) -> Model:
    """Loads a Llama from a folder or the hub; safetensors only, and never code that comes with it.

    Args:
        source, revision, dtype, device: see `read_model`.
        matmul: float32 and bfloat16 products on a CPU: "auto" (the faster one, by measuring), "default" or
            "onednn".
        reduction: "auto" (compiled on a GPU and for models of 50 million weights and more), "eager" or
            "compiled".
    Returns: the model; its `matmul`, `reduction` and `attention` say what was chosen. A wish that this
        machine can't grant is no error.
    Raises: ModelError, one sentence naming what is wrong and the setting that cures it.
    """
    keep_caches_small()
    model = read_model(source, revision, dtype, device)
    if model.device == "cpu":
        keep_heap()
    return replace(
        model,
        matmul=choose_product(model.module, matmul),
        attention=_attention(model),
        reduction=_reduction(model, reduction),
    )


def load_head(model: Model) -> nn.Linear:
    """The language model head, which turns a normed residual (…, D) into the logits of the next token (…, V).

    Only analyses need it, so it is loaded when asked for. It takes V · D numbers of memory, unless it is tied
    to the embedding and PyTorch multiplies; oneDNN needs an order of its own.

    Raises: ModelError if it is neither tied nor in the model's files.
    """
    weight = read_head(model)
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    head.weight = nn.Parameter(weight, requires_grad=False)
    if model.matmul == ONEDNN:
        use_onednn(head)
    return head


def _attention(model: Model) -> str:
    if model.device == "cpu":
        return "loop"
    config: Any = model.module.config
    heads = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    return choose_kernel(loop, model.device, DTYPES[model.dtype], heads) or "loop"


def _reduction(model: Model, wanted: str) -> str:
    weights = sum(part.numel() for block in blocks(model.module) for part in block.layer.parameters())
    worth = model.device != "cpu" or weights >= _WORTH_COMPILING
    if wanted == "eager" or (wanted == "auto" and not worth):
        return "eager"
    done = compile_sums(model.hidden_size, DTYPES[model.dtype], model.device)
    return "compiled" if done else "eager"
