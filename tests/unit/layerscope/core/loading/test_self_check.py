"""The self-check finds what would make the numbers wrong, and names the layer and the component."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from layerscope.core import Model, load_model
from layerscope.core.attention import kernels, packed
from layerscope.core.attention.one_text import attend
from layerscope.core.families import FAMILIES
from layerscope.core.loading import self_check
from layerscope.errors import ModelError
from tests.support.models.families import CASES, family_model
from tests.support.models.tiny import causal_model, count_hooks, make_non_finite, save


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CASES)
def test_every_family_passes_in_half_precision(name: str, dtype: str, tmp_path: Path) -> None:
    load_model(save(family_model(name), tmp_path), dtype=dtype)


def check(model: Model) -> str:
    with pytest.raises(ModelError, match=r"cannot be measured: at layer \d") as raised:
        self_check.self_check(model)
    assert count_hooks(model.module) == 0
    return str(raised.value)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_attention_scores_in_the_hundreds(dtype: str, tmp_path: Path) -> None:
    """As in Qwen2, whose biases make them so large; eager attention would round them to 1 or 2."""
    model: Any = family_model("qwen2")
    with torch.no_grad():
        for layer in model.model.layers:
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                projection.bias.fill_(12.0)
    load_model(save(model, tmp_path), dtype=dtype)


def replace_kernel(monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., Tensor]) -> None:
    replaced: dict[str, Any] = kernels.KERNELS
    monkeypatch.setitem(replaced, "loop", kernel)


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    return lambda name: load_model(save(family_model(name), tmp_path))


@pytest.mark.parametrize(
    ("name", "changes", "component"),
    [
        ("gemma2", {"attention": "self_attn"}, "attention"),  # what it returns, not what is added
        ("gemma3", {"mlp": "mlp"}, "mlp"),
        ("olmo2", {"attention": "self_attn", "middle": "mlp"}, "attention"),
        ("gemma2", {"middle": "post_attention_layernorm"}, "attention"),
        ("granite", {"factor": None}, "attention"),
    ],
)
def test_a_wrong_entry_in_the_table_of_families(
    name: str, changes: dict[str, Any], component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = CASES[name][0]
    monkeypatch.setitem(FAMILIES, kind, replace(FAMILIES[kind], **changes))
    problem = f"at layer 0 the residual after {component} is not the one before it plus what {component} adds"
    with pytest.raises(ModelError, match=problem):
        load_model(save(family_model(name), tmp_path))


def test_attention_that_reaches_the_neighbour(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole_batch(query: Tensor, key: Tensor, value: Tensor, *others: Any) -> Tensor:
        heads = [part.transpose(0, 1)[None] for part in (query, key, value)]
        groups = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(groups, 1) for part in heads[1:])
        return attend(heads[0], key, value, others[1], None, None)[0].transpose(0, 1)

    model = loaded("llama")
    replace_kernel(monkeypatch, whole_batch)
    assert "at layer 0 the residual after attention is not that of plain transformers" in check(model)


def test_a_soft_cap_that_is_left_out(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("gemma2")
    loop: Callable[..., Tensor] = kernels.loop
    replace_kernel(monkeypatch, lambda *arguments: loop(*arguments[:6], None))
    assert "the residual after attention is not that of plain transformers" in check(model)


def test_a_window_that_is_left_out(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("qwen3, windows")
    loop: Callable[..., Tensor] = kernels.loop
    replace_kernel(monkeypatch, lambda *arguments: loop(*arguments[:5]))
    assert "at layer 0 the residual after attention is not that of plain transformers" in check(model)


def test_positions_of_the_neighbour(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("llama, longrope")
    monkeypatch.setattr(packed, "depends_on_length", lambda _: False)
    assert "the residual after attention is not that of plain transformers" in check(model)


def test_an_mlp_that_depends_on_the_batch(loaded: Any) -> None:
    model = loaded("llama")
    mlp = model.module.layers[2].mlp
    hook = mlp.register_forward_hook(lambda _module, _args, output: output * output.shape[1])
    with pytest.raises(ModelError, match="at layer 2 the residual after mlp is not that of plain"):
        self_check.self_check(model)
    hook.remove()


def test_an_embedding_that_depends_on_the_batch(loaded: Any) -> None:
    model = loaded("llama")
    embedding = model.module.embed_tokens
    embedding.register_forward_hook(lambda _module, _args, output: output * output.shape[1])
    with pytest.raises(ModelError, match="at layer 0 the residual that enters is not that of plain"):
        self_check.self_check(model)


def test_float16_that_overflows_is_left_to_the_texts(tmp_path: Path) -> None:
    model = causal_model()
    make_non_finite(model, layer=1, byte="a")
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 5.0  # now every token
    assert load_model(save(model, tmp_path), dtype="float16").dtype == "float16"


def test_a_model_that_transformers_cannot_run(loaded: Any) -> None:
    model = loaded("gemma2")
    model.module.config.sliding_window = None
    with pytest.raises(ModelError, match=r"transformers cannot run .*: correct config.json"):
        self_check.self_check(model)


@pytest.mark.parametrize("context", [1, 2, 9])
def test_a_context_shorter_than_the_texts_of_the_check(context: int, tmp_path: Path) -> None:
    model = load_model(save(causal_model(max_position_embeddings=context), tmp_path))
    assert model.max_tokens == context
    assert (model.module.config._attn_implementation, count_hooks(model.module)) == ("sdpa", 0)
