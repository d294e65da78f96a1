import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from layerscope.core import Model, analyse_texts, load_head, load_model
from layerscope.core.loading.matmul import OneDnnLinear
from layerscope.errors import ModelError
from tests.support.models.tiny import byte_tokenizer, causal_model, save

HEAD = "lm_head.weight"


def with_head(folder: Path, copy: Path, head: torch.Tensor | None) -> Model:
    """The model of a copy of the folder with a different head, or without a head."""
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    del weights[HEAD]
    save_file(weights if head is None else {**weights, HEAD: head}, copy / "model.safetensors")
    return load_model(copy)


def test_an_untied_head_is_the_saved_one(model: Model, folder: Path) -> None:
    head = load_head(model).weight.to_dense()
    assert torch.equal(head, load_file(folder / "model.safetensors")[HEAD])
    assert not torch.equal(head, model.module.embed_tokens.weight)


def test_a_head_that_is_not_in_the_file_of_the_layers(tmp_path: Path) -> None:
    causal: Any = causal_model()
    causal.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    byte_tokenizer().save_pretrained(tmp_path)
    head = load_head(load_model(tmp_path, matmul="default"))
    assert torch.equal(head.weight, causal.lm_head.weight)


def test_a_tied_head_is_the_embedding_and_takes_no_memory(tmp_path: Path) -> None:
    model = load_model(save(causal_model(tie_word_embeddings=True), tmp_path), matmul="default")
    assert load_head(model).weight.data_ptr() == model.module.embed_tokens.weight.data_ptr()


def test_a_tied_head_and_a_saved_copy_give_the_same_values(tmp_path: Path) -> None:
    tied = causal_model(tie_word_embeddings=True)
    untied: Any = causal_model()
    untied.load_state_dict(tied.state_dict())
    one, two = (
        load_model(save(model, tmp_path / str(i)), matmul="default") for i, model in enumerate((tied, untied))
    )
    (first,), (second,) = (list(analyse_texts(model, ["a text"])) for model in (one, two))
    np.testing.assert_array_equal(first.values, second.values)


def test_the_head_uses_the_matrix_product_of_the_model(folder: Path) -> None:
    default, onednn = (load_model(folder, matmul=product) for product in ("default", "onednn"))
    if onednn.matmul != "onednn":
        pytest.skip("this PyTorch has no oneDNN product")
    assert type(load_head(default)) is nn.Linear
    assert type(load_head(onednn)) is OneDnnLinear
    (one,), (other,) = (list(analyse_texts(model, ["a text"])) for model in (default, onednn))
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_head_has_the_dtype_of_the_model(folder: Path, dtype: str) -> None:
    model = load_model(folder, dtype=dtype)
    assert load_head(model).weight.dtype == model.module.embed_tokens.weight.dtype != torch.float32


def test_a_missing_head_is_an_error_only_if_it_is_needed(folder: Path, tmp_path: Path) -> None:
    model = with_head(folder, tmp_path / "copy", None)
    with pytest.raises(ModelError, match=r"incomplete \(lm_head.weight is missing\): download them again"):
        analyse_texts(model, [])
    (found,) = analyse_texts(model, ["a text"], analyses=())
    assert found.error is None


@pytest.mark.parametrize("shape", [(256, 32), (257, 16)])
def test_a_head_with_a_wrong_shape_is_refused(folder: Path, tmp_path: Path, shape: tuple[int, int]) -> None:
    model = with_head(folder, tmp_path / "copy", torch.zeros(shape))
    with pytest.raises(ModelError, match=r"has shape \(25., ..\) instead of \(257, 32\)"):
        load_head(model)
