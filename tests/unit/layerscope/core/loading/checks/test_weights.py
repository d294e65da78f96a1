"""Files that do not contain exactly the weights of the model are refused, with the cause and the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from layerscope.core import analyse_texts, load_head, load_model, profile_texts
from layerscope.core.loading.checks.weights import stored_tensors, weight_files
from layerscope.errors import ModelError
from tests.support.models.families import family_model
from tests.support.models.tiny import byte_tokenizer, causal_model, save

Edit = Callable[[dict[str, Tensor]], None]
FILE = "model.safetensors"
Q = "model.layers.1.self_attn.q_proj"
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def edited(copy: Path) -> Callable[[Edit], Path]:
    def edit(change: Edit) -> Path:
        weights = load_file(copy / FILE)
        change(weights)
        save_file(weights, copy / FILE, metadata={"format": "pt"})
        return copy

    return edit


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def values(folder: Path) -> list[Any]:
    return [text.values for text in profile_texts(load_model(folder), ["a text", "another"])]


def renamed(rename: Callable[[str], str]) -> Edit:
    def change(weights: dict[str, Tensor]) -> None:
        for name in list(weights):
            weights[rename(name)] = weights.pop(name)

    return change


def test_biases_that_the_configuration_does_not_have(edited: Any) -> None:
    folder = edited(lambda weights: weights.update({f"{Q}.bias": torch.ones(32)}))
    with pytest.raises(
        ModelError, match=rf"contain {Q}.bias, which a Llama .* set attention_bias or mlp_bias"
    ):
        load_model(folder)


def test_biases_saved_with_the_model_are_refused_if_the_configuration_says_false(tmp_path: Path) -> None:
    save(causal_model(attention_bias=True), tmp_path)
    edit_config(tmp_path, attention_bias=False)
    with pytest.raises(ModelError, match=r"layers.0.self_attn.k_proj.bias"):
        load_model(tmp_path)


def test_more_layers_in_the_file_than_in_the_configuration(copy: Path) -> None:
    edit_config(copy, num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"model.layers.3.* num_hidden_layers is 3; set it to the number of"):
        load_model(copy)


def test_a_tied_embedding_that_is_stored_as_the_head(edited: Any) -> None:
    """As `safetensors.torch.save_model` writes it. Follows the remedy of the message."""
    folder = edited(lambda weights: weights.update({"lm_head.weight": weights.pop(EMBEDDING)}))
    edit_config(folder, tie_word_embeddings=True)
    with pytest.raises(
        ModelError, match=r"embed_tokens.weight is missing.*with AutoModelForCausalLM and save it"
    ):
        load_model(folder)
    auto: Any = AutoModelForCausalLM
    auto.from_pretrained(folder).save_pretrained(folder)
    assert load_head(load_model(folder)).out_features == 257


def test_a_bias_of_a_family_without_a_setting_for_biases(tmp_path: Path) -> None:
    folder = save(family_model("qwen2"), tmp_path)
    weights = load_file(folder / FILE)
    name = "model.layers.0.self_attn.o_proj.bias"
    save_file({**weights, name: torch.zeros(32)}, folder / FILE, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"contain {name}, .*: correct model_type and the other settings"):
        load_model(folder)


def test_fewer_layers_in_the_file_than_in_the_configuration(copy: Path) -> None:
    edit_config(copy, num_hidden_layers=5)
    with pytest.raises(ModelError, match=r"incomplete \(layers.4.* is missing\)"):
        load_model(copy)


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [(torch.int8, "I8"), (torch.uint8, "U8"), (torch.float8_e4m3fn, "F8_E4M3"), (torch.int32, "I32")],
)
def test_quantised_weights_without_a_quantization_config(
    edited: Any, dtype: torch.dtype, stored: str
) -> None:
    def quantise(weights: dict[str, Tensor]) -> None:
        weights[f"{Q}.weight"] = weights[f"{Q}.weight"].to(dtype)
        weights[f"{Q}.weight_scale"] = torch.ones(1)

    with pytest.raises(
        ModelError, match=rf"{Q}.weight of .* is stored as {stored}, so the model is quantised"
    ):
        load_model(edited(quantise))


def test_scales_of_weights_that_are_floats(edited: Any) -> None:
    folder = edited(lambda weights: weights.update({f"{Q}.weight_scale": torch.ones(1)}))
    with pytest.raises(ModelError, match=rf"contain {Q}.weight_scale, which a Llama model .* does not use"):
        load_model(folder)


def test_an_integer_head(edited: Any) -> None:
    folder = edited(lambda weights: weights.update({"lm_head.weight": torch.zeros(257, 32).to(torch.int8)}))
    with pytest.raises(ModelError, match=r"lm_head.weight of .* is stored as I8"):
        load_model(folder)


@pytest.mark.parametrize(
    "name",
    ["model.layers.0.self_attn.q_norm.weight", "model.extra.weight", "visual.weight", "layers.0.mlp.weight"],
)
def test_names_that_the_model_does_not_have(edited: Any, name: str) -> None:
    folder = edited(lambda weights: weights.update({name: torch.ones(8)}))
    with pytest.raises(ModelError, match=f"contain {name}, which a Llama model .*: correct model_type"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", (4,), torch.float32),
        ("model.rotary_emb.inv_freq", (4,), torch.float32),
        ("score.weight", (3, 32), torch.float32),
        ("v_head.summary.weight", (1, 32), torch.float32),
        ("lm_head.bias", (257,), torch.float32),
    ],
)
def test_harmless_names(
    edited: Any, folder: Path, name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    changed = edited(lambda weights: weights.update({name: torch.ones(shape, dtype=dtype)}))
    for found, expected in zip(values(changed), values(folder), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_bias_of_the_head_is_refused_by_the_analyses(edited: Any) -> None:
    model = load_model(edited(lambda weights: weights.update({"lm_head.bias": torch.ones(257)})))
    with pytest.raises(ModelError, match=r"contain lm_head.bias, which transformers ignores"):
        analyse_texts(model, ["a text"])


@pytest.mark.parametrize("change", [lambda name: name.removeprefix("model."), lambda name: name])
def test_a_model_saved_with_and_without_its_head(edited: Any, folder: Path, change: Any) -> None:
    for found, expected in zip(values(edited(renamed(change))), values(folder), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("rename", "origin"),
    [
        (lambda name: f"_orig_mod.{name}", "a model compiled by torch.compile"),
        (lambda name: name.replace("mlp.", "mlp._orig_mod."), "a model compiled by torch.compile"),
        (lambda name: f"module.{name}", "a DataParallel model"),
        (lambda name: f"base_model.model.{name}", "a PEFT model"),
    ],
)
def test_wrapped_models(edited: Any, rename: Callable[[str], str], origin: str) -> None:
    with pytest.raises(ModelError, match=rf"have names such as .*, which are those of {origin}: save"):
        load_model(edited(renamed(rename)))


def test_an_adapter_that_is_not_merged(copy: Path) -> None:
    (copy / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match=r"contains a PEFT adapter .*: merge it"):
        load_model(copy)


def test_more_rows_than_the_vocabulary(edited: Any) -> None:
    def resize(weights: dict[str, Tensor]) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = torch.cat([weights[name], torch.zeros(3, 32)])

    folder = edited(resize)
    with pytest.raises(
        ModelError, match=r"has 260 rows, but vocab_size in config.json is 257: set vocab_size"
    ):
        load_model(folder)
    edit_config(folder, vocab_size=260)
    assert load_head(load_model(folder)).out_features == 260


def test_another_shape(edited: Any) -> None:
    folder = edited(lambda weights: weights.update({f"{Q}.weight": torch.zeros(32, 31)}))
    with pytest.raises(
        ModelError, match=rf"{Q}.weight has shape \(32, 31\), but config.json describes \(32, 32"
    ):
        load_model(folder)


@pytest.mark.parametrize("name", [FILE, "config.json", "tokenizer.json", "tokenizer.model", "merges.txt"])
def test_a_pointer_of_git_lfs(copy: Path, name: str) -> None:
    (copy / name).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n")
    with pytest.raises(ModelError, match=rf"{name} of .* is a pointer of git-lfs .*: run `git lfs pull`"):
        load_model(copy)


def test_several_dtypes_in_one_file(edited: Any, folder: Path) -> None:
    def change(weights: dict[str, Tensor]) -> None:
        weights["model.norm.weight"] = weights["model.norm.weight"].double()
        weights[f"{Q}.weight"] = weights[f"{Q}.weight"].bfloat16()

    model = load_model(edited(change))
    assert {value.dtype for value in model.module.parameters()} == {torch.float32}
    assert next(profile_texts(model, ["a text"])).error is None


def sharded(folder: Path, model: Any) -> list[Path]:
    model.save_pretrained(folder, max_shard_size="40KB")
    byte_tokenizer().save_pretrained(folder)
    return sorted(folder.glob("model-*.safetensors"))


def test_shards(folder: Path, tmp_path: Path) -> None:
    shards = sharded(tmp_path, causal_model())
    assert len(shards) > 2
    assert weight_files("", tmp_path) == shards
    for found, expected in zip(values(tmp_path), values(folder), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_missing_shard(tmp_path: Path) -> None:
    shards = sharded(tmp_path, causal_model())
    shards[1].unlink()
    with pytest.raises(ModelError, match=rf"incomplete \({shards[1].name} is missing\): download them again"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": []}'])
def test_a_damaged_index(tmp_path: Path, content: str) -> None:
    sharded(tmp_path, causal_model())
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match=r"model.safetensors.index.json of .* is damaged: download it again"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["sub/model.safetensors", "../model.safetensors", "/model.safetensors"])
def test_an_index_that_names_other_folders(copy: Path, name: str) -> None:
    """Their content would not be part of the revision."""
    (copy / FILE).unlink()
    index = {"metadata": {}, "weight_map": {"lm_head.weight": name}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="names files of other folders: put them into its folder"):
        load_model(copy)


def test_a_shard_that_contains_a_tensor_of_another_one(tmp_path: Path) -> None:
    shards = sharded(tmp_path, causal_model())
    first, second = load_file(shards[0]), load_file(shards[1])
    name = next(iter(first))
    save_file({**second, name: first[name] + 1}, shards[1])
    with pytest.raises(ModelError, match=rf"{name} of .* is in {shards[0].name} and in {shards[1].name}"):
        load_model(tmp_path)


def test_two_checkpoints_in_one_folder(tmp_path: Path) -> None:
    """Layers and head are both from the one file, as transformers reads it."""
    sharded(tmp_path, causal_model(seed=1))
    wanted: Any = causal_model(seed=2)
    save(wanted, tmp_path / "single")
    shutil.copy(tmp_path / "single" / FILE, tmp_path / FILE)
    model = load_model(tmp_path, matmul="default")
    assert torch.equal(model.module.layers[3].mlp.up_proj.weight, wanted.model.layers[3].mlp.up_proj.weight)
    assert torch.equal(load_head(model).weight, wanted.lm_head.weight)


def test_a_second_checkpoint_under_another_name(copy: Path, folder: Path) -> None:
    """Such as the original format of Mistral, whose names differ; it sorts before the file that is read."""
    other: Any = causal_model(seed=1)
    save_file(
        {"lm_head.weight": other.lm_head.weight.detach(), "norm.weight": torch.ones(32)},
        copy / "consolidated.safetensors",
    )
    loaded, expected = (load_head(load_model(path, matmul="default")).weight for path in (copy, folder))
    assert torch.equal(loaded, expected)


def test_only_files_with_other_names(copy: Path) -> None:
    (copy / FILE).rename(copy / "consolidated.safetensors")
    with pytest.raises(ModelError, match=r"has consolidated.safetensors but neither model.safetensors nor"):
        load_model(copy)


def test_shapes_and_dtypes_are_read_from_the_headers(copy: Path) -> None:
    stored = stored_tensors("", weight_files("", copy))
    assert stored["lm_head.weight"].shape == (257, 32)
    assert {tensor.dtype for tensor in stored.values()} == {"F32"}


def test_biases_of_qwen2_are_needed(tmp_path: Path) -> None:
    save(family_model("qwen2"), tmp_path)
    weights = load_file(tmp_path / FILE)
    del weights["model.layers.2.self_attn.k_proj.bias"]
    save_file(weights, tmp_path / FILE, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"incomplete \(layers.2.self_attn.k_proj.bias is missing\)"):
        load_model(tmp_path)
