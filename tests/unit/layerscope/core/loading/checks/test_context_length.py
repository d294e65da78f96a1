"""The context, rope types and windows."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from layerscope.core.loading.checks.architecture import read_config
from layerscope.core.loading.checks.context_length import context_length
from layerscope.errors import ModelError

LONGROPE = {"short_factor": [1.0] * 64, "long_factor": [2.0] * 64, "original_max_position_embeddings": 4096}


@pytest.mark.parametrize(
    ("kind", "settings", "context"),
    [
        ("llama", {}, 2048),
        # Llama 3.2 3B
        (
            "llama",
            {
                "max_position_embeddings": 131_072,
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 32.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            131_072,
        ),
        # Vicuna 1.5 16k
        (
            "llama",
            {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
            16_384,
        ),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 1.5}}, 3072),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 0.5}}, 2048),
        ("llama", {"rope_scaling": {"rope_type": "dynamic", "factor": 2}}, 4096),
        # Qwen2.5 as its model card recommends for long texts
        (
            "qwen2",
            {
                "max_position_embeddings": 32_768,
                "rope_scaling": {
                    "type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32_768,
                },
            },
            131_072,
        ),
        # a yarn whose context already includes the factor
        (
            "qwen3",
            {
                "max_position_embeddings": 131_072,
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32_768,
                },
            },
            131_072,
        ),
        # Phi-3 mini 128k
        (
            "phi3",
            {
                "hidden_size": 4096,
                "max_position_embeddings": 131_072,
                "original_max_position_embeddings": 4096,
                "rope_scaling": {"type": "longrope", **LONGROPE},
            },
            131_072,
        ),
        # Gemma 3 4B: its context already includes the factor
        (
            "gemma3_text",
            {"max_position_embeddings": 131_072, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
            131_072,
        ),
    ],
)
def test_the_context(kind: str, settings: dict[str, Any], context: int) -> None:
    assert context_length(AutoConfig.for_model(kind, **settings)) == context


def refusal(folder: Path, kind: str, **settings: Any) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **settings}))
    with pytest.raises(ModelError) as raised:
        read_config("the model", folder)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "granite"])
@pytest.mark.parametrize("rope", ["su", "mrope", "axial", "no-such-type", 7])
def test_an_unknown_rope_type(kind: str, rope: object, tmp_path: Path) -> None:
    message = refusal(tmp_path, kind, rope_scaling={"rope_type": rope, "factor": 2.0})
    assert f"has the rope type {rope!r}, which transformers does not have: correct rope_parameters" in message
    assert "the types are default, linear, dynamic, yarn, longrope, llama3, proportional" in message


def test_an_unknown_rope_type_of_one_type_of_layer(tmp_path: Path) -> None:
    rope = {"sliding_attention": {"rope_type": "x"}, "full_attention": {"rope_type": "default"}}
    assert "has the rope type 'x'" in refusal(tmp_path, "gemma3_text", rope_parameters=rope)


def test_parameters_for_each_type_of_layer_in_a_family_that_has_one_set(tmp_path: Path) -> None:
    rope = {"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}}
    message = refusal(tmp_path, "qwen3", rope_parameters=rope)
    assert (
        "has rope parameters for each type of layer, which transformers ignores for Qwen3 models" in message
    )


def test_parameters_for_one_type_of_layer_in_a_family_that_has_one_set(tmp_path: Path) -> None:
    rope = {"sliding_attention": {"rope_type": "default", "rope_theta": 77.0}}
    assert "for each type of layer" in refusal(tmp_path, "llama", rope_parameters=rope)


@pytest.mark.parametrize("more", [{}, {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}])
def test_one_set_of_parameters_in_a_family_that_has_two(more: dict[str, Any], tmp_path: Path) -> None:
    """transformers takes its default values instead."""
    rope = {"rope_type": "default", "rope_theta": 5e5, **more}
    message = refusal(tmp_path, "gemma3_text", rope_parameters=rope)
    assert "has one set of rope_parameters, which transformers ignores for Gemma 3 (text) models" in message
    assert "put it into full_attention inside rope_parameters" in message


@pytest.mark.parametrize("theta", [0, 0.0, -1e6, float("nan")])
def test_a_base_that_is_not_above_0(theta: float, tmp_path: Path) -> None:
    message = refusal(tmp_path, "llama", rope_theta=theta)
    assert f"sets rope_theta to {theta}: set it above 0." in message
    local = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": theta}}
    assert f"sets rope_theta to {theta}" in refusal(tmp_path, "gemma3_text", rope_parameters=local)


@pytest.mark.parametrize("place", ["top", "rope"])
def test_a_partial_rotation_of_a_family_that_ignores_it(place: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"partial_rotary_factor": 0.5}
    if place == "rope":
        settings = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, **settings}}
    message = refusal(tmp_path, "llama", **settings)
    assert "sets partial_rotary_factor to 0.5, which transformers ignores for Llama models" in message


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("mistral", {"sliding_window": 0}, "sets sliding_window to 0: set it to null or above 0"),
        ("mistral", {"sliding_window": -1}, "sets sliding_window to -1"),
        ("phi3", {"sliding_window": 0}, "sets sliding_window to 0"),
        (
            "qwen2",
            {"num_hidden_layers": 1, "layer_types": ["sliding_attention"]},
            "layers of type 'sliding_attention' but no window in use",
        ),
        ("smollm3", {"num_hidden_layers": 1, "layer_types": ["sliding_attention"]}, "no window in use"),
        (
            "smollm3",
            {"num_hidden_layers": 1, "layer_types": ["sliding_attention"], "sliding_window": 8},
            "no window in use",
        ),
        ("gemma2", {"sliding_window": None}, "no window in use"),
        (
            "qwen3",
            {"num_hidden_layers": 1, "layer_types": ["chunked_attention"]},
            "has layers of type 'chunked_attention' in layer_types; Layerscope supports full_attention and",
        ),
        (
            "mistral",
            {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
            "sets layer_types to ['sliding_attention', 'full_attention'], which transformers ignores",
        ),
        ("qwen3", {"layer_types": ["full_attention"]}, "The configuration of the model cannot be used"),
    ],
)
def test_windows_that_contradict_each_other(
    kind: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert message in refusal(tmp_path, kind, **settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mistral", {"sliding_window": None}),
        ("mistral", {"sliding_window": 8, "num_hidden_layers": 2, "layer_types": ["sliding_attention"] * 2}),
        ("mistral", {"sliding_window": None, "num_hidden_layers": 1, "layer_types": ["full_attention"]}),
        ("qwen2", {"sliding_window": 8, "use_sliding_window": False}),
        ("gemma3_text", {"sliding_window": 8, "sliding_window_pattern": 2}),
        # google/gemma-2-9b
        (
            "gemma2",
            {
                "cache_implementation": "hybrid",
                "final_logit_softcapping": 30.0,
                "hidden_act": "gelu_pytorch_tanh",
                "hidden_activation": "gelu_pytorch_tanh",
                "query_pre_attn_scalar": 256,
                "rope_theta": 10_000.0,
                "sliding_window": 4096,
                "sliding_window_size": 4096,
            },
        ),
    ],
)
def test_windows_that_are_clear(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, **settings}))
    read_config("the model", tmp_path)
