"""Tiny random models of every supported family, with each of its special settings."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests.support.models.tiny import DEFAULTS

_WINDOW = 7  # shorter than most texts
_LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.2, 1.4, 1.6],
    "long_factor": [1.0, 3.0, 9.0, 27.0],
    "original_max_position_embeddings": 32,
    "rope_theta": 10_000.0,
}
_PER_TYPE = {
    "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100_000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
}
_ALTERNATING = ["sliding_attention", "full_attention"] * 2


def rope(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10_000.0, **parameters}}


# name → model_type and settings
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, biases, tied": (
        "llama",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "head_dim": 12},
    ),
    "llama, one key head": ("llama", {"num_key_value_heads": 1}),
    "llama, llama3 rope": (
        "llama",
        rope(
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=32,
        ),
    ),
    "llama, linear rope": ("llama", rope("linear", factor=3.0)),
    "llama, dynamic rope": ("llama", {**rope("dynamic", factor=4.0), "max_position_embeddings": 32}),
    "llama, yarn rope": ("llama", rope("yarn", factor=4.0, original_max_position_embeddings=64)),
    "llama, longrope": ("llama", {"rope_parameters": _LONGROPE}),
    "llama, proportional rope": ("llama", rope("proportional")),
    "mistral": ("mistral", {"sliding_window": _WINDOW}),
    "mistral, no window": ("mistral", {"sliding_window": None, "tie_word_embeddings": True}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2, windows": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": _WINDOW, "max_window_layers": 2},
    ),
    "qwen3": ("qwen3", {"head_dim": 16, "attention_bias": True}),
    "qwen3, windows": (
        "qwen3",
        {
            "head_dim": 8,
            "use_sliding_window": True,
            "sliding_window": _WINDOW,
            "layer_types": _ALTERNATING,
        },
    ),
    "smollm3": ("smollm3", {"no_rope_layers": [1, 0, 1, 0]}),
    "smollm3, windows": (
        "smollm3",
        {
            "use_sliding_window": True,
            "sliding_window": _WINDOW,
            "attention_bias": True,
            "tie_word_embeddings": False,
        },
    ),
    "phi3": ("phi3", {"sliding_window": _WINDOW, "partial_rotary_factor": 0.5}),
    "phi3, longrope": ("phi3", {"rope_parameters": _LONGROPE, "original_max_position_embeddings": 32}),
    "granite": (
        "granite",
        {
            "residual_multiplier": 0.22,
            "embedding_multiplier": 12.0,
            "attention_multiplier": 0.3,
            "logits_scaling": 8.0,
            "tie_word_embeddings": True,
        },
    ),
    "granite, biases": (
        "granite",
        {"residual_multiplier": 3.0, "attention_bias": True, "mlp_bias": True, "logits_scaling": 2.0},
    ),
    "olmo2": ("olmo2", {"num_key_value_heads": 4}),
    "gemma2": (
        "gemma2",
        {
            "head_dim": 12,
            "sliding_window": _WINDOW,
            "query_pre_attn_scalar": 5,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma2, no caps": (
        "gemma2",
        {
            "head_dim": 8,
            "sliding_window": _WINDOW,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "attention_bias": True,
        },
    ),
    "gemma3": (
        "gemma3_text",
        {
            "head_dim": 16,
            "sliding_window": _WINDOW,
            "query_pre_attn_scalar": 20,
            "layer_types": _ALTERNATING,
            "rope_parameters": _PER_TYPE,
            "final_logit_softcapping": 4.0,
        },
    ),
    "gemma3, tied": ("gemma3_text", {"head_dim": 8, "sliding_window": 4096}),
}


@torch.no_grad()
def family_model(name: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """The random causal model of a case; every weight is large enough to matter, also biases and norms."""
    kind, settings = CASES[name]
    common: dict[str, Any] = {**DEFAULTS, "vocab_size": 257, "initializer_range": 0.2, "pad_token_id": None}
    untied = {"tie_word_embeddings": False} if "tied" not in name else {}
    config = AutoConfig.for_model(kind, **{**common, **untied, **settings, **changes})
    torch.manual_seed(seed)
    auto: Any = AutoModelForCausalLM
    model: Any = auto.from_config(config)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # a bias, or the weight of a norm
            parameter.add_(torch.randn_like(parameter) * 0.3)
    ready: PreTrainedModel = model.eval()
    return ready
