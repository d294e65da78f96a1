import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from transformers import LlamaModel

from layerscope.core import Model, load_model
from layerscope.core.loading import hub
from layerscope.core.loading.device import choose_dtype, exceeds_memory
from layerscope.core.model import DTYPES, blocks
from layerscope.errors import ModelError
from tests.support.tiny import causal_model, save


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
    edit_config(copy, rope_theta=5.0)
    changed = load_model(copy).revision
    assert changed != model.revision
    (copy / "README.md").write_text("not part of the model")
    assert load_model(copy).revision == changed


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_the_given_one(folder: Path, dtype: str) -> None:
    loaded = load_model(folder, dtype=dtype)
    assert loaded.dtype == dtype
    assert {value.dtype for value in loaded.module.parameters()} == {DTYPES[dtype]}


@pytest.mark.parametrize(
    ("saved", "device", "chosen"),
    [
        (torch.bfloat16, "cpu", "float32"),
        (torch.bfloat16, "cuda:0", "bfloat16"),
        (torch.float16, "cuda:0", "bfloat16"),
        (torch.float32, "cuda:0", "float32"),
        (None, "cuda:0", "bfloat16"),
    ],
)
def test_dtype_auto(saved: torch.dtype | None, device: str, chosen: str) -> None:
    assert choose_dtype("auto", saved, device) == chosen


@pytest.mark.parametrize("dtype", ["float64", "int8", ""])
def test_unknown_dtype(folder: Path, dtype: str) -> None:
    with pytest.raises(ModelError, match=r"dtype = .* is not one of auto, float32, bfloat16, float16"):
        load_model(folder, dtype=dtype)


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:x", ""])
def test_unknown_device(folder: Path, device: str) -> None:
    with pytest.raises(ModelError, match="is not one of auto, cpu"):
        load_model(folder, device=device)


def test_a_device_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(ModelError, match="this machine has"):
        load_model(folder, device="cuda:99")


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
    with pytest.raises(ModelError, match=r"configuration of .* cannot be read"):
        load_model(copy)


def test_other_architectures_are_refused(copy: Path) -> None:
    edit_config(copy, model_type="mistral", architectures=["MistralForCausalLM"])
    with pytest.raises(ModelError, match=r"is a mistral model\. Layerscope supports only Llama models"):
        load_model(copy)


def test_quantised_models_are_refused(copy: Path) -> None:
    edit_config(copy, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ModelError, match="is quantised"):
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


@pytest.mark.parametrize("source", ["/no/such/folder", "a/b/c", "", "two words"])
def test_neither_folder_nor_hub_id(source: str) -> None:
    with pytest.raises(
        ModelError, match=r"neither an existing folder nor a valid hub id .* correct `source`"
    ):
        load_model(source)


def refusing(error: Exception) -> Callable[..., str]:
    def snapshot_download(*_: object, **__: object) -> str:
        raise error

    return snapshot_download


def response(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("GET", "https://hub.test"))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (GatedRepoError("403", response=response(403)), "accept its licence on the hub and set HF_TOKEN"),
        (
            RepositoryNotFoundError("404", response=response(404)),
            "correct `source` in models.toml, or set HF_TOKEN",
        ),
        (RevisionNotFoundError("404", response=response(404)), "correct `revision` in models.toml"),
        (
            ConnectionError("no route"),
            r"could not be downloaded \(no route\): check the network, HF_HUB_OFFLINE",
        ),
    ],
)
def test_errors_of_the_hub(monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str) -> None:
    monkeypatch.setattr(hub, "snapshot_download", refusing(error))
    with pytest.raises(ModelError, match=advice) as raised:
        load_model("meta-llama/Llama-3.2-3B", revision="v9")
    assert "meta-llama/Llama-3.2-3B" in str(raised.value)


def test_an_unreachable_hub_fails_within_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real client in offline mode, as on a machine without network and cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="is not in the cache and could not be downloaded"):
        load_model("meta-llama/Llama-3.2-3B")


def test_the_revision_of_a_hub_model_is_its_commit(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = copy.rename(copy.parent / ("c0ffee" * 7)[:40])
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(snapshot))
    assert load_model("meta-llama/Llama-3.2-3B").revision == snapshot.name


@pytest.mark.parametrize(
    ("gpus", "free", "too_large"), [(2, 10**4, True), (2, 10**9, False), (1, 10**4, False)]
)
def test_a_model_too_large_for_one_gpu_is_spread(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, free: int, too_large: bool
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free, free))
    assert exceeds_memory(folder, torch.bfloat16, "cuda:0") == too_large
    assert not exceeds_memory(folder, torch.bfloat16, "cpu")
