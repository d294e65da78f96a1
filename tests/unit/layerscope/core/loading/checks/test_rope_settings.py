"""Rotary positions that config.json states in two ways, or of which transformers ignores a part."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from layerscope.core.loading.checks.architecture import read_config
from layerscope.core.loading.checks.rope_settings import PARAMETERS
from layerscope.errors import ModelError

DEFAULT = {"rope_type": "default", "rope_theta": 1_000_000.0}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 2048,
}
SU = {"type": "su", "short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
LOCAL = {"rope_type": "default", "rope_theta": 10_000.0}
PER_TYPE = {"full_attention": DEFAULT, "sliding_attention": LOCAL}


def read(folder: Path, kind: str, settings: dict[str, Any]) -> Any:
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **settings}))
    return read_config("the model", folder)[0]


def test_transformers_drops_the_theta_next_to_an_added_rope_scaling() -> None:
    """The reason for the refusal. If transformers merges them one day, the refusal can go."""
    config = AutoConfig.for_model("qwen2", rope_parameters=dict(DEFAULT), rope_scaling=dict(YARN))
    assert config.rope_parameters["rope_theta"] != DEFAULT["rope_theta"]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        # the lines that the model card of Qwen2.5 recommends, added to a file of transformers 5
        ("qwen2", {"rope_parameters": DEFAULT, "rope_scaling": YARN}, "and they differ"),
        ("llama", {"rope_parameters": DEFAULT, "rope_theta": 77.0}, "sets rope_theta to 77.0, but its rope"),
        ("llama", {"rope_scaling": {**YARN, "rope_theta": 5.0}, "rope_theta": 7.0}, "set rope_theta to 5.0"),
        (
            "llama",
            {"rope_scaling": LLAMA3, "original_max_position_embeddings": 1024},
            "sets original_max_position_embeddings to 1024, but",
        ),
        (
            "phi3",
            {"rope_parameters": {**DEFAULT, "partial_rotary_factor": 0.5}, "partial_rotary_factor": 0.75},
            "sets partial_rotary_factor to 0.75, but its rope parameters set partial_rotary_factor to 0.5",
        ),
        ("gemma3_text", {"rope_parameters": PER_TYPE, "rope_theta": 5.0}, "sets rope_theta to 5.0, but"),
        (
            "gemma3_text",
            {"rope_parameters": PER_TYPE, "rope_local_base_freq": 5.0},
            "sets rope_local_base_freq to 5.0, but its rope parameters set rope_theta to 10000.0",
        ),
        (
            "llama",
            {"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 4.0}},
            "set rope_type to 'default' and type to 'linear'",
        ),
        ("llama", {"rope_scaling": {"factor": 4.0}}, "set factor to 4.0, which transformers ignores for the"),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 1.0, "alpha": 1000}}, "set alpha to 1000"),
        ("llama", {"rope_scaling": {**LLAMA3, "attention_factor": 1.5}}, "set attention_factor to 1.5"),
        ("llama", {"rope_scaling": {**YARN, "type": "linear", "beta_fast": 16}}, "set beta_fast to 16"),
        (
            "llama",
            {
                "rope_scaling": {
                    "type": "dynamic",
                    "factor": 4.0,
                    "original_max_position_embeddings": 2048,
                },
                "max_position_embeddings": 8192,
            },
            "set original_max_position_embeddings to 2048, which transformers ignores for the rope type",
        ),
        # DeepSeek-R1-0528-Qwen3-8B: vLLM multiplies by (0.1·ln(4) + 1) · 0.878… = 1
        (
            "qwen3",
            {"rope_scaling": {**YARN, "attn_factor": 0.8782488562869419}},
            "set attn_factor to 0.8782488562869419, which transformers ignores for the rope type 'yarn': set "
            "attention_factor to 1.0 instead of attn_factor.",
        ),
        (
            "qwen3",
            {"rope_scaling": {**YARN, "attn_factor": 2.0, "attention_factor": 1.0}},
            "set attn_factor to 2.0, which transformers ignores for the rope type 'yarn': correct rope_type, "
            "or remove attn_factor.",
        ),
        ("llama", {"rope_scaling": {**YARN, "alpha": 2.0}}, "correct rope_type, or remove alpha."),
        (
            "llama",
            {"rope_scaling": {"type": "linear", "factor": 4.0, "attn_factor": 0.5}},
            "correct rope_type, or remove attn_factor.",
        ),
        (
            "phi3",
            {"rope_scaling": SU, "original_max_position_embeddings": 4096},
            "set type to 'su', the old name of longrope, for which transformers finds no "
            "original_max_position_embeddings: set type to 'longrope'.",
        ),
        ("phi3", {"rope_scaling": {**SU, "rope_type": "su"}}, "set rope_type to 'longrope'."),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "set factor to 0: it must be above 0"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": -2.0}}, "set factor to -2.0"),
        (
            "gemma3_text",
            {"rope_parameters": {**PER_TYPE, "sliding_attention": {**LOCAL, "factor": 2.0}}},
            "set factor to 2.0",
        ),
        (
            "llama",
            {
                "rope_scaling": {
                    "rope_type": "longrope",
                    "short_factor": [1.0],
                    "long_factor": [1.0] * 64,
                    "original_max_position_embeddings": 512,
                }
            },
            "short_factor in the rope parameters of the model has 1 values, but a head rotates 64 pairs",
        ),
    ],
)
def test_contradictions_are_refused(
    kind: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as raised:
        read(tmp_path, kind, settings)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("llama", {"rope_theta": 500_000.0, "rope_scaling": LLAMA3}),
        ("llama", {"rope_theta": 500_000.0, "rope_scaling": None}),
        ("llama", {"rope_theta": 1_000_000, "rope_parameters": DEFAULT}),
        ("llama", {"rope_scaling": LLAMA3, "rope_parameters": LLAMA3}),
        ("qwen2", {"rope_theta": 1e6, "rope_scaling": {**YARN, "rope_type": "yarn", "factor": 4}}),
        ("llama", {"rope_scaling": {**YARN, "finetuned": True}}),  # the first models with yarn
        ("llama", {"rope_parameters": {**DEFAULT, "mrope_section": [16, 24, 24]}}),
        ("llama", {"rope_parameters": {**DEFAULT, "factor": 1.0, "attention_factor": None}}),
        ("qwen3", {"rope_scaling": {**YARN, "attention_factor": 1.0}}),
        ("qwen3", {"rope_scaling": {**YARN, "attn_factor": 1.0}}),
        # Phi-3 with the old name of longrope and the length inside, and with the new name
        ("phi3", {"rope_scaling": {**SU, "original_max_position_embeddings": 4096}}),
        ("phi3", {"rope_scaling": {**SU, "type": "longrope"}, "original_max_position_embeddings": 4096}),
        # Phi-4 mini
        (
            "phi3",
            {
                "max_position_embeddings": 131_072,
                "original_max_position_embeddings": 4096,
                "partial_rotary_factor": 0.75,
                "rope_theta": 10_000.0,
                "rope_scaling": {
                    "type": "longrope",
                    "short_factor": [1.0] * 36,
                    "long_factor": [2.0] * 36,
                },
            },
        ),
        # Gemma 3 before and since transformers 5
        (
            "gemma3_text",
            {
                "rope_theta": 1e6,
                "rope_local_base_freq": 10_000.0,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
        ),
        (
            "gemma3_text",
            {"rope_theta": 1e6, "rope_local_base_freq": 10_000, "rope_parameters": PER_TYPE},
        ),
    ],
)
def test_files_of_real_models_are_accepted(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    read(tmp_path, kind, settings)


def test_every_rope_type_of_transformers_has_a_list() -> None:
    assert set(PARAMETERS) == {"default", *ROPE_INIT_FUNCTIONS}
