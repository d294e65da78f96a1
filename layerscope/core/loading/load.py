"""`load_model()`: loads a model and chooses how this machine computes with it."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from layerscope.core.attention.kernels import choose_kernel
from layerscope.core.loading.checkpoint import read_model
from layerscope.core.loading.compiled_modules import compile_modules
from layerscope.core.loading.matmul import choose_product
from layerscope.core.loading.process_setup import keep_caches_small, keep_heap
from layerscope.core.loading.self_check import self_check
from layerscope.core.model import DTYPES, Model, blocks
from layerscope.core.sums.compiled import compile_sums
from layerscope.core.sums.fused_layers import can_be_fused
from layerscope.names import MATRIX_PRODUCTS

# Compiling the reduction takes seconds and saves a twentieth of the measuring time on a CPU.
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
    """Loads a model from a folder or the hub. Reads only safetensors, and never runs code of the model.

    Args:
        source, revision, dtype, device: see `read_model`.
        matmul: the matrix product on a CPU: "auto" or "onednn" (oneDNN's, if this PyTorch has it for the
            dtype of the model and it gives correct numbers; otherwise PyTorch's own), or "default" (PyTorch's
            own).
        reduction: "auto" (on a GPU a Triton kernel; compiled by PyTorch where Triton does not work, and on a
            CPU for models with at least 50 million weights in the layers), "eager" or "compiled".
    Returns: the model; its `matmul`, `reduction`, `modules` and `attention` name what was chosen. If this
        machine cannot do what was requested, the model uses what always works.
    Raises: ModelError, one sentence with the problem and the setting that solves it; ValueError for another
        `matmul` or `reduction`.
    """
    _check_choice("matmul", matmul, ("auto", *MATRIX_PRODUCTS))
    _check_choice("reduction", reduction, ("auto", "eager", "compiled"))
    keep_caches_small()
    model = read_model(source, revision, dtype, device)
    if model.device == "cpu":
        keep_heap()
    model = replace(
        model,
        matmul=choose_product(model.module, matmul),
        attention=_attention(model),
        rotary=_rotary(model),
    )
    self_check(model)
    return replace(model, reduction=_reduction(model, reduction), modules=_modules(model))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _attention(model: Model) -> str:
    if model.device == "cpu":
        return "loop"
    windowed = getattr(model.module.config, "sliding_window", None) is not None
    return choose_kernel(model.device, DTYPES[model.dtype], _heads(model), windowed)


def _rotary(model: Model) -> str:
    if model.device == "cpu" or (kernel := _triton("layerscope.core.attention.rotary_kernel")) is None:
        return "eager"
    first: Any = model.module.layers[0]
    works = kernel.works(first.self_attn, _heads(model), next(first.parameters()))
    return "triton" if works else "eager"


def _heads(model: Model) -> tuple[int, int, int]:
    """Query heads, key heads, units per head."""
    config: Any = model.module.config
    first: Any = blocks(model.module)[0].layer
    return config.num_attention_heads, config.num_key_value_heads, first.self_attn.head_dim


def _reduction(model: Model, wanted: str) -> str:
    weights = sum(part.numel() for block in blocks(model.module) for part in block.layer.parameters())
    worth = model.device != "cpu" or weights >= _WORTH_COMPILING
    if wanted == "eager" or (wanted == "auto" and not worth):
        return "eager"
    size, dtype = model.hidden_size, DTYPES[model.dtype]
    if model.device != "cpu" and wanted != "compiled":
        kernel = _triton("layerscope.core.sums.triton_kernel")
        if kernel is not None and kernel.works(size, dtype, model.device):
            return "fused" if can_be_fused(model.module) else "triton"
    return "compiled" if compile_sums(size, dtype, model.device) else "eager"


def _triton(module: str) -> Any:
    """A module with kernels, or None without Triton, which exists only with the PyTorch for GPUs."""
    try:
        return import_module(module)
    except ImportError:
        return None


def _modules(model: Model) -> str:
    compiled = model.device != "cpu" and compile_modules(blocks(model.module))
    return "compiled" if compiled else "eager"
