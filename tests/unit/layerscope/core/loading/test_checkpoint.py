import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaModel

from layerscope.core import Model, load_model
from layerscope.core.model import DTYPES, blocks
from layerscope.errors import ModelError
from tests.support.models.tiny import causal_model, save


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the model folder that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_facts_about_a_model(model: Model, folder: Path) -> None:
    assert (model.source, model.layers, model.hidden_size, model.max_tokens) == (str(folder), 4, 32, 256)
    assert (model.dtype, model.device) == ("float32", "cpu")
    assert isinstance(model.module, LlamaModel)  # no head
    assert not model.module.training
    assert len(blocks(model.module)) == 4


def test_weights_are_the_saved_ones(folder: Path) -> None:
    model = load_model(folder, matmul="default")  # oneDNN would reorder them
    saved = load_file(folder / "model.safetensors")
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, saved[f"model.{name}"]), name


def test_the_revision_depends_on_the_files(copy: Path, model: Model) -> None:
    assert load_model(copy).revision == model.revision
    assert model.revision.startswith("sha256:")
    assert len(model.revision) == 39
    edit_config(copy, rms_norm_eps=0.1)
    changed = load_model(copy).revision
    assert changed != model.revision
    (copy / "README.md").write_text("not part of the model")
    assert load_model(copy).revision == changed


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_the_given_one(folder: Path, dtype: str) -> None:
    loaded = load_model(folder, dtype=dtype)
    assert loaded.dtype == dtype
    assert {value.dtype for value in loaded.module.parameters()} == {DTYPES[dtype]}


def test_pickled_weights_are_refused(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no \*.safetensors weights. Pickled weights are not read"):
        load_model(copy)


def test_code_in_a_model_folder_is_not_run(copy: Path) -> None:
    for name in ("configuration", "modeling"):
        (copy / f"{name}_evil.py").write_text("raise SystemExit('this code must not run')")
    classes = {"AutoConfig": "configuration_evil.Evil", "AutoModel": "modeling_evil.Evil"}
    edit_config(copy, auto_map=classes)
    assert isinstance(load_model(copy).module, LlamaModel)
    edit_config(copy, auto_map=classes, model_type="evil")
    with pytest.raises(ModelError, match=r"is a evil model. Layerscope supports Llama, Mistral"):
        load_model(copy)


def test_missing_weights_are_refused_instead_of_filled_with_random_numbers(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"incomplete \(layers.2.mlp.up_proj.weight is missing\)"):
        load_model(copy)


@pytest.mark.parametrize("damage", ["truncated", "empty", "other shape"])
def test_damaged_weights(copy: Path, damage: str, tmp_path: Path) -> None:
    path = copy / "model.safetensors"
    if damage == "other shape":
        save(causal_model(hidden_size=64), tmp_path / "wide")
        shutil.copy(tmp_path / "wide" / path.name, path)
    else:
        path.write_bytes(path.read_bytes()[: 5_000 if damage == "truncated" else 0])
    with pytest.raises(ModelError, match=r"weights of .* cannot be loaded"):
        load_model(copy)


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json"):
        load_model(tmp_path)


def test_a_folder_without_tokenizer(copy: Path) -> None:
    for path in copy.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer .*tokenizer.json"):
        load_model(copy)
