"""Every field of every configuration class: used by the model, without effect on the numbers, or refused."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoConfig

from layerscope.core import analyse_texts, load_model, profile_texts
from layerscope.core.families import FAMILIES
from layerscope.core.loading.checks.ignored_settings import NEUTRAL, OTHER_NAMES
from layerscope.errors import ModelError
from tests.support.models.families import CASES, family_model
from tests.support.models.tiny import save

# One case of each family in which its settings matter.
CASE = {
    "llama": "llama",
    "mistral": "mistral",
    "qwen2": "qwen2, windows",
    "qwen3": "qwen3, windows",
    "smollm3": "smollm3, windows",
    "phi3": "phi3, longrope",
    "granite": "granite",
    "olmo2": "olmo2",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
}
TEXTS = ["a text that is longer than forty of its bytes, so that its factors are the long ones", "short"]

# Another value of a field, and what else has to change so that the field has an effect.
USED: dict[str, dict[str, Any]] = {
    "vocab_size": {"vocab_size": 256},
    "hidden_size": {"hidden_size": 64},
    "intermediate_size": {"intermediate_size": 32},
    "num_hidden_layers": {"num_hidden_layers": 3},
    "num_attention_heads": {"num_attention_heads": 2},
    "num_key_value_heads": {"num_key_value_heads": 1},
    "head_dim": {"head_dim": 4},
    "hidden_act": {"hidden_act": "gelu"},
    "hidden_activation": {"hidden_activation": "relu"},
    "max_position_embeddings": {"max_position_embeddings": 200},
    "original_max_position_embeddings": {"original_max_position_embeddings": 100},
    "rms_norm_eps": {"rms_norm_eps": 0.5},
    "rope_parameters": {"rope_parameters": {"rope_type": "default", "rope_theta": 3.0}},
    "attention_bias": {"attention_bias": True},
    "mlp_bias": {"mlp_bias": True},
    "sliding_window": {"sliding_window": 3},
    "use_sliding_window": {"use_sliding_window": False, "layer_types": None},
    "max_window_layers": {"max_window_layers": 1, "layer_types": None},
    "layer_types": {"layer_types": ["full_attention"] * 4},
    "no_rope_layers": {"no_rope_layers": [0, 1, 1, 1]},
    "no_rope_layer_interval": {"no_rope_layer_interval": 2, "no_rope_layers": None},
    "embedding_multiplier": {"embedding_multiplier": 2.0},
    "attention_multiplier": {"attention_multiplier": 1.0},
    "residual_multiplier": {"residual_multiplier": 1.0},
    "logits_scaling": {"logits_scaling": 1.0},
    "query_pre_attn_scalar": {"query_pre_attn_scalar": 77},
    "attn_logit_softcapping": {"attn_logit_softcapping": 0.5},
    "final_logit_softcapping": {"final_logit_softcapping": 0.5},
}
WITHOUT_EFFECT: dict[str, Any] = {
    "transformers_version": "4.0.0",
    "architectures": None,  # another class of the family
    "output_hidden_states": True,
    "return_dict": False,
    "dtype": "float16",
    "id2label": {"0": "a", "1": "b", "2": "c"},
    "label2id": {"a": 0},
    "problem_type": "regression",
    "initializer_range": 0.5,
    "use_cache": False,
    "pad_token_id": 5,
    "bos_token_id": 6,
    "eos_token_id": [7],
    "pretraining_tp": 2,
    "tie_word_embeddings": True,  # the files contain a head
    "attention_dropout": 0.5,
    "resid_pdrop": 0.5,
    "embd_pdrop": 0.5,
}
REFUSED: dict[str, Any] = {
    "is_encoder_decoder": True,
    "chunk_size_feed_forward": 2,
    "use_bidirectional_attention": True,
}
IGNORED_BY_THE_FAMILY = {("gemma3_text", "attn_logit_softcapping"): 0.5}


def names(kind: str) -> list[str]:
    return [field.name for field in fields(type(AutoConfig.for_model(kind)))]


PAIRS = [(kind, name) for kind in FAMILIES for name in names(kind)]


def edit(folder: Path, changes: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def numbers(folder: Path) -> list[Any]:
    """The context, and every value of a few texts."""
    model = load_model(folder, dtype="float32")
    texts = [text.values for text in profile_texts(model, TEXTS)]
    return [model.max_tokens, *texts, *(text.values for text in analyse_texts(model, TEXTS[1:]))]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, bytes, list[Any]]]:
    """The configuration and weights of a family as they are saved, and its numbers."""
    found: dict[str, tuple[Path, list[Any]]] = {}

    def get(kind: str) -> tuple[Path, list[Any]]:
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            save(family_model(CASE[kind], tie_word_embeddings=False), folder)
            found[kind] = folder, numbers(folder)
        return found[kind]

    return get  # type: ignore[return-value]


@pytest.fixture
def copy(tmp_path: Path, original: Any) -> Callable[[str], tuple[Path, list[Any]]]:
    """A folder of a family with a configuration that a test may edit, and its original numbers."""

    def get(kind: str) -> tuple[Path, list[Any]]:
        source, expected = original(kind)
        for path in source.iterdir():
            target = tmp_path / path.name
            if path.name == "config.json":
                target.write_bytes(path.read_bytes())
            else:
                target.symlink_to(path)
        return tmp_path, expected

    return get


def test_every_field_is_classified() -> None:
    for kind, name in PAIRS:
        groups = [name in USED, name in WITHOUT_EFFECT, name in REFUSED]
        assert sum(groups) == 1, (kind, name)


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if pair[1] in USED])
def test_used_fields_change_the_numbers_or_are_refused(kind: str, name: str, copy: Any) -> None:
    folder, expected = copy(kind)
    changes = dict(USED[name])
    if name.endswith("_bias"):
        changes[name] = not json.loads((folder / "config.json").read_text())[name]
    if kind == "gemma3_text" and name == "rope_parameters":
        changes = {name: dict.fromkeys(("full_attention", "sliding_attention"), changes[name])}
    edit(folder, changes)
    try:
        found = numbers(folder)
    except ModelError:
        return
    assert not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", FAMILIES)
def test_fields_without_effect(kind: str, copy: Any) -> None:
    folder, expected = copy(kind)
    changes = {name: value for name, value in WITHOUT_EFFECT.items() if name in names(kind)}
    (saved,) = json.loads((folder / "config.json").read_text())["architectures"]
    edit(folder, {**changes, "architectures": [saved.replace("ForCausalLM", "Model")]})
    for found, wanted in zip(numbers(folder), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_nothing_is_kept_in_memory(copy: Any) -> None:
    folder, _ = copy("llama")
    edit(folder, {"output_hidden_states": True, "output_attentions": True, "attn_implementation": "eager"})
    config = load_model(folder).module.config
    assert (config.output_hidden_states, config.output_attentions) == (False, False)
    assert config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(*pair, REFUSED[pair[1]]) for pair in PAIRS if pair[1] in REFUSED]
    + [(*pair, value) for pair, value in IGNORED_BY_THE_FAMILY.items()],
)
def test_refused_fields(kind: str, name: str, value: Any, copy: Any) -> None:
    folder, _ = copy(kind)
    edit(folder, {name: value})
    with pytest.raises(ModelError, match=f"sets {name} to {value}, which transformers ignores"):
        load_model(folder)


# A value of each setting that belongs to other models, and which Llama ignores.
FOREIGN: dict[str, Any] = {
    "is_causal": False,
    "use_bidirectional_attention": True,
    "is_encoder_decoder": True,
    "add_cross_attention": True,
    "attention_chunk_size": 64,
    "alibi": True,
    "embedding_multiplier": 12.0,
    "attention_multiplier": 0.01,
    "residual_multiplier": 0.22,
    "logits_scaling": 8.0,
    "logit_scale": 0.0625,
    "scale_emb": 12,
    "scale_depth": 1.4,
    "dim_model_base": 256,
    "query_pre_attn_scalar": 256,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
    "clip_qkv": 8.0,
    "partial_rotary_factor": 0.5,
    "rotary_pct": 0.25,
    "rope_interleaved": True,
    "no_rope_layers": [1, 1, 1, 0],
    "no_rope_layer_interval": 4,
    "use_qk_norm": True,
    "qk_layernorm": True,
    "parallel_attn": True,
    "use_parallel_residual": True,
    "num_experts": 8,
    "num_local_experts": 8,
    "n_routed_experts": 64,
    "per_layer_config": {"0": {"hidden_act": "relu"}},
    "chunk_size_feed_forward": 2,
    "transformers_weights": "other.safetensors",
    "compression_config": {"format": "pack-quantized"},
    "sliding_window": 64,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "causal": False,
    "bidirectional": True,
    "use_causal_mask": False,
    "prefix_lm": True,
    "attention_types": [[["global", "local"], 2]],
    "window_size": 8,
    "attention_window": 8,
    "attention_window_size": 8,
    "sliding_window_size": 8,
    "local_attention": 8,
    "attn_logit_softcap": 50.0,
    "logits_soft_cap": 30.0,
    "output_logit_soft_cap": 30.0,
    "attention_scale": 0.3,
    "attention_value_scale": 0.7,
    "attention_in_multiplier": 0.5,
    "attention_out_multiplier": 0.5,
    "key_multiplier": 0.4,
    "mlp_multipliers": [0.9, 0.8],
    "lm_head_multiplier": 0.04,
    "mup_enabled": True,
    "mup_width_multiplier": 8.0,
    "scale_embedding": True,
    "rescale_embeddings": True,
    "embedding_scale": 4.0,
    "scale_attn_weights": False,
    "scale_attn_by_inverse_layer_idx": True,
    "attn_temperature_tuning": True,
    "use_logn_attn": True,
    "swiglu_limit": 7.0,
    "activation_sparsity_pattern": [0.9] * 4,
    "rotary_dim": 4,
    "rotary_emb_fraction": 0.25,
    "rope_interleave": True,
    "rotary_emb_interleaved": True,
    "rope_ratio": 50,
    "rope_local_base_freq": 100.0,
    "layer_rope_theta": [1.0, 2.0, 3.0, 4.0],
    "use_rope": False,
    "use_dynamic_ntk": True,
    "position_embedding_type": "alibi",
    "nope_layer_interval": 4,
    "apply_residual_connection_post_layernorm": True,
    "num_kv_shared_layers": 2,
    "attention_k_eq_v": True,
    # other names of settings that Llama has
    "layer_norm_eps": 0.5,
    "layer_norm_epsilon": 0.5,
    "norm_eps": 0.5,
    "norm_epsilon": 0.5,
    "hidden_activation": "relu",
    "activation_function": "relu",
    "mlp_hidden_act": "relu",
    "rope_base": 7.0,
    "rotary_base": 7.0,
    "rotary_emb_base": 7.0,
}


def test_every_foreign_setting_is_tested() -> None:
    assert {*NEUTRAL, *OTHER_NAMES} - {"hidden_act"} <= set(FOREIGN)


@pytest.mark.parametrize("name", FOREIGN)
def test_settings_that_llama_ignores(name: str, copy: Any) -> None:
    folder, _ = copy("llama")
    edit(folder, {name: FOREIGN[name]})
    with pytest.raises(ModelError, match=f"sets {name} to .*, which transformers ignores for Llama models"):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {name: values[0] for name, values in NEUTRAL.items()},
        {name: values[-1] for name, values in NEUTRAL.items()},
        {"sliding_window": None},
        {"sliding_window": 256},
        {"sliding_window": 8, "use_sliding_window": False},
        {"layer_types": ["full_attention"] * 4},
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": "flash_attention_3"},
        {"_attn_implementation_internal": "flash_attention_2"},
        {"output_attentions": True, "attn_implementation": "eager"},
        {"torch_dtype": "bfloat16"},
        {"unsloth_version": "2025.1.1"},
        {"rope_theta": 10_000.0},
        {"temperature": 0.6, "max_length": 20},
        {"layer_norm_eps": 1e-6, "activation_function": "silu", "rope_base": 10_000},
        {"layer_norm_eps": 9.999999974752427e-07, "activation_function": "swish", "rope_base": "10000"},
        {"local_attention": False, "window_size": -1, "rotary_dim": 8},
        {"architectures": ["LLaMAForCausalLM"]},
        {"architectures": None},
        # wrappers and heads without code: what is loaded are the layers of transformers
        {"architectures": ["LlamaForCausalLMWithValueHead"]},
        {"architectures": ["LlamaForRewardModelWithGating"]},
        {"architectures": ["PeftModelForCausalLM"], "auto_map": {}},
        {"architectures": ["FSDPLlamaForCausalLM"], "auto_map": {"AutoTokenizer": ["tokens.Own", None]}},
        {"architectures": ["MistralForCausalLM"], "auto_map": {"AutoConfig": "configuration.Own"}},
        {"architectures": ["LlamaModel"], "auto_map": {"AutoModel": "modeling.LlamaModel"}},
    ],
    ids=str,
)
def test_settings_that_change_nothing(changes: dict[str, Any], copy: Any) -> None:
    folder, expected = copy("llama")
    edit(folder, changes)
    for found, wanted in zip(numbers(folder), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        # google/gemma-2-9b has its window under two names
        ("gemma2", {"sliding_window_size": 7}),
        ("mistral", {"window_size": 7, "attention_window": 7, "attention_window_size": None}),
        ("qwen3", {"use_qk_norm": True, "qk_layernorm": True}),
        ("olmo2", {"use_qk_norm": True}),
        ("gemma3_text", {"use_qk_norm": True}),
    ],
)
def test_other_names_with_the_value_in_use(kind: str, changes: dict[str, Any], copy: Any) -> None:
    folder, expected = copy(kind)
    edit(folder, changes)
    for found, wanted in zip(numbers(folder), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("llama", "is_causal", None),  # transformers then lets tokens attend to later ones
        ("gemma2", "sliding_window_size", 6),
        ("mistral", "window_size", -1),
        ("mistral", "attention_window", "x"),
        ("qwen3", "use_qk_norm", False),
        ("phi3", "rotary_dim", 3),
        ("granite", "qk_layernorm", True),
        ("qwen2", "norm_eps", 1.001e-6),
        ("qwen2", "rope_base", 10**400),
    ],
)
def test_settings_with_another_value(kind: str, name: str, value: Any, copy: Any) -> None:
    folder, _ = copy(kind)
    edit(folder, {name: value})
    with pytest.raises(ModelError, match=f"sets {name} to {value!r}, which transformers ignores"):
        load_model(folder)


def test_a_window_that_is_switched_off_has_two_names(copy: Any) -> None:
    folder, _ = copy("qwen2")
    off = {"use_sliding_window": False, "layer_types": None, "sliding_window": 6}
    for other in (6, -1):
        edit(folder, {**off, "sliding_window_size": other})
        load_model(folder)


def test_the_activation_of_gemma_has_another_name(copy: Any) -> None:
    folder, expected = copy("gemma2")
    edit(folder, {"hidden_act": "gelu_pytorch_tanh"})
    for found, wanted in zip(numbers(folder), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    edit(folder, {"hidden_act": "relu"})
    with pytest.raises(ModelError, match="sets hidden_act to 'relu', which transformers ignores for Gemma 2"):
        load_model(folder)


@pytest.mark.parametrize("name", ["LlamaBiModel", "LlamaEncoderModel", "Qwen2ForCausalLM"])
def test_a_class_that_transformers_does_not_have(name: str, copy: Any) -> None:
    """LlamaBiModel of LLM2Vec has the weights of a Llama, but every token attends to all others."""
    folder, _ = copy("llama")
    edit(folder, {"architectures": [name], "auto_map": {"AutoModel": f"modeling.{name}"}})
    with pytest.raises(ModelError, match=f"names the class {name} in architectures") as raised:
        load_model(folder)
    assert str(raised.value).endswith("set architectures to null in a copy of its folder.")
    edit(folder, {"architectures": None})  # the remedy
    load_model(folder)


def test_quantised_models_are_refused(copy: Any) -> None:
    folder, _ = copy("llama")
    edit(folder, {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    with pytest.raises(ModelError, match="is quantised"):
        load_model(folder)


def test_every_family_has_a_case() -> None:
    assert {CASES[name][0] for name in CASE.values()} == set(FAMILIES) == set(CASE)
