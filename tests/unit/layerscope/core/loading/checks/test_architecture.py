"""Architectures and values that cannot be measured are refused with a sentence that says why."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from layerscope.core import load_model
from layerscope.core.families import FAMILIES
from layerscope.core.loading.checks.architecture import read_config
from layerscope.errors import ModelError

SUPPORTED = (
    "Layerscope supports Llama, Mistral, Qwen2, Qwen3, SmolLM3, Phi-3, Granite, OLMo 2, Gemma 2 and "
    "Gemma 3 (text) models."
)


def refusal(folder: Path, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError) as raised:
        read_config("the model", folder)
    return str(raised.value)


@pytest.fixture
def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "mixtral"}, "is a mixtral model, a mixture of experts."),
        ({"model_type": "qwen3_moe"}, "is a qwen3_moe model, a mixture of experts."),
        ({"model_type": "granitemoe"}, "is a granitemoe model, a mixture of experts."),
        ({"model_type": "deepseek_v3", "n_routed_experts": 256}, "a mixture of experts."),
        ({"model_type": "gpt_oss", "num_local_experts": 32}, "a mixture of experts."),
        ({"model_type": "gemma3", "text_config": {}, "vision_config": {}}, "which is multimodal."),
        ({"model_type": "mistral3", "text_config": {}}, "which is multimodal."),
        ({"model_type": "qwen2_5_vl", "vision_config": {}}, "which is multimodal."),
        ({"model_type": "bert"}, "is a bert model, which has an encoder."),
        ({"model_type": "modernbert"}, "which has an encoder."),
        ({"model_type": "t5", "is_encoder_decoder": True}, "which has an encoder."),
        ({"model_type": "xlm-roberta"}, "which has an encoder."),
        ({"model_type": "gpt_neox"}, "whose attention and MLP read the same residual."),
        ({"model_type": "cohere"}, "whose attention and MLP read the same residual."),
        ({"model_type": "falcon"}, "whose attention and MLP read the same residual."),
        ({"model_type": "gpt2"}, "the model is a gpt2 model."),
        ({"model_type": "ministral"}, "the model is a ministral model."),
        ({"model_type": "no-such-type"}, "the model is a no-such-type model."),
        ({"hidden_size": 32}, "has no model_type, so its architecture is unknown."),
        ({"model_type": 7}, "has no model_type, so its architecture is unknown."),
    ],
)
def test_other_architectures(settings: dict[str, Any], reason: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, settings)
    assert reason in message
    assert SUPPORTED in message


def test_every_other_architecture_of_transformers_is_refused(tmp_path: Path) -> None:
    for kind in set(CONFIG_MAPPING) - set(FAMILIES):
        assert SUPPORTED in refusal(tmp_path, {"model_type": kind}), kind


@pytest.mark.parametrize("content", ["", "{", "no JSON", "\\ufeff"])
def test_a_damaged_file(content: str, tmp_path: Path) -> None:
    assert "The configuration of the model cannot be read" in refusal(tmp_path, content)


@pytest.mark.parametrize("content", ["[]", "7", "null"])
def test_a_file_that_is_not_an_object(content: str, tmp_path: Path) -> None:
    assert "is not a JSON object: download it again" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"num_hidden_layers": "4"}, "num_hidden_layers"),
        ({"hidden_size": 32.5}, "hidden_size"),
        ({"rms_norm_eps": None}, "rms_norm_eps"),
        ({"num_attention_heads": 5}, "not a multiple of the number of attention heads"),
        ({"torch_dtype": "float7", "dtype": None}, "float7"),
    ],
)
def test_a_wrong_value(config: dict[str, Any], changes: dict[str, Any], cause: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, {**config, **changes})
    assert message.startswith("The configuration of the model cannot be used")
    assert cause in message
    assert message.endswith("correct the value in config.json.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in ("num_hidden_layers", "max_position_embeddings") for value in (0, -1)],
        *[("rms_norm_eps", value) for value in (0.0, -1e-6, float("nan"))],
    ],
)
def test_a_value_that_is_not_above_0(config: dict[str, Any], name: str, value: float, tmp_path: Path) -> None:
    message = refusal(tmp_path, {**config, name: value})
    assert f"sets {name} to {value}: correct it" in message


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"hidden_act": "no-such-function"}, "no-such-function"),
        ({"rope_parameters": {"rope_type": "linear", "factor": "8"}}, "TypeError"),
        ({"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 4}}, "long_factor"),
    ],
)
def test_a_value_that_only_the_model_refuses(
    folder: Path, config: dict[str, Any], changes: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(ModelError, match=rf"The configuration of .* cannot be used .*{cause}"):
        load_model(copy)
