import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from layerscope.core import Model, TextProfile, load_model, profile_texts
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.models.tiny import (
    BOS,
    add_known_activations,
    add_massive_activation,
    byte_tokenizer,
    causal_model,
    count_hooks,
    make_non_finite,
    save,
    set_output_to_zero,
)

TEXTS = ["one", "a longer text, of some forty characters", "", "x" * 300, "№ 5", "one"]


def test_shape_and_order(model: Model) -> None:
    found = list(profile_texts(model, TEXTS))
    assert [text.ordinal for text in found] == list(range(6))
    assert [text.tokens for text in found] == [4, 40, 0, 256, 6, 4]
    assert [text.truncated for text in found] == [False, False, False, True, False, False]
    for text in found:
        assert text.values.shape == (3, 4, 4, 7)
        assert text.square_norms.shape == (2, 4)
        assert text.values.dtype == np.float64
        assert np.isnan(text.values).all() == (text.error is not None)
    assert np.isfinite(found[0].values).all()
    assert np.isnan(found[2].square_norms).all()


def test_a_failed_text_has_a_reason_and_does_not_affect_the_others(model: Model) -> None:
    found = list(profile_texts(model, TEXTS, max_tokens=40, overflow="fail"))
    assert [text.error for text in found] == [
        None,
        None,
        "the text is empty",
        "the text has 301 tokens, more than the limit of 40; shorten it, or set overflow to truncate",
        None,
        None,
    ]
    assert found[3].tokens == 301


def test_a_truncated_text_has_the_values_of_its_beginning(model: Model) -> None:
    cut, whole = profile_texts(model, ["abcdefghij" * 4, "abcdefghi"], max_tokens=10)
    assert (cut.tokens, cut.truncated, whole.truncated) == (10, True, False)
    np.testing.assert_allclose(cut.values, whole.values, rtol=1e-5)


def test_texts_of_one_token_have_no_values_in_scope_rest(tmp_path: Path) -> None:
    model = load_model(save(causal_model(), tmp_path, bos=False))
    (found,) = profile_texts(model, ["x"])
    assert found.tokens == 1
    assert np.isnan(found.values[:, [SCOPES.index("rest"), SCOPES.index("typical")]]).all()
    assert found.massive == ()
    assert np.isfinite(found.values[:, [SCOPES.index("all"), SCOPES.index("first")]]).all()


def test_planted_massive_tokens_are_found_and_left_out(tmp_path: Path) -> None:
    """Layer 1 adds 300 to one unit of BOS, wherever it is, and layer 3 subtracts it."""
    causal = causal_model()
    add_known_activations(causal, written=1, removed=3, values={5: 300.0})
    model = load_model(save(causal, tmp_path))
    parsed = "one two three" + BOS + " four five six"
    (found,) = profile_texts(model, [parsed], special_tokens="parse")
    places = [0, 1 + len("one two three")]
    assert [(token.position, token.token_id, token.token) for token in found.massive] == [
        (place, 0, BOS) for place in places
    ]
    rms = found.values[0, :, 2, METRICS.index("residual_rms")]
    assert rms[SCOPES.index("rest")] > 5 * rms[SCOPES.index("typical")]
    all_tokens, massive = found.square_norms
    assert (massive[2:4] > 0.9 * all_tokens[2:4]).all()
    assert (massive[:2] < 0.1 * all_tokens[:2]).all()


def test_the_massive_tokens_do_not_depend_on_components_and_batches(tmp_path: Path) -> None:
    causal = causal_model()
    add_massive_activation(causal)
    model = load_model(save(causal, tmp_path))
    texts = ["a" * 9 + BOS + "b" * 8, "x", "two", BOS + "y" * 30]
    whole = list(profile_texts(model, texts, special_tokens="parse"))
    for text, other in zip(texts, whole, strict=True):
        for components in (("attention",), ("mlp", "attention")):
            (alone,) = profile_texts(model, [text], components=components, special_tokens="parse")
            assert alone.massive == other.massive
            np.testing.assert_allclose(alone.square_norms, other.square_norms, rtol=1e-6)
            chosen = [COMPONENTS.index(name) for name in COMPONENTS if name in components]
            np.testing.assert_allclose(alone.values, other.values[chosen], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_tokens": 257}, "model's 256, not 257"),
        ({"max_tokens": 0}, "whole number from 1 to"),
        ({"max_tokens": 2.5}, "whole number from 1 to"),
        ({"max_tokens": True}, "whole number from 1 to"),
        ({"token_budget": 0}, "at least 1"),
        ({"overflow": "drop"}, "'truncate' or 'fail'"),
        ({"components": ()}, "components must be some of block, attention, mlp"),
        ({"components": ("heads",)}, "components must be some of"),
    ],
)
def test_invalid_arguments_raise_immediately(model: Model, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile_texts(model, [], **arguments)


@pytest.mark.parametrize("chosen", [("mlp",), ("mlp", "block"), ("attention",), ("block",)])
def test_chosen_components_are_in_the_fixed_order(model: Model, chosen: tuple[str, ...]) -> None:
    whole = list(profile_texts(model, TEXTS))
    kept = [i for i, name in enumerate(COMPONENTS) if name in chosen]
    for part, full in zip(profile_texts(model, TEXTS, components=chosen), whole, strict=True):
        np.testing.assert_array_equal(part.values, full.values[kept])


def assert_same(found: list[TextProfile], expected: list[TextProfile], tolerance: float = 2e-5) -> None:
    """Equal except for the order of summation in matrix products; the tolerance is absolute near 0."""
    for one, other in zip(found, expected, strict=True):
        assert (one.tokens, one.truncated, one.error) == (other.tokens, other.truncated, other.error)
        np.testing.assert_allclose(one.values, other.values, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_batching_does_not_change_numbers(model: Model, budget: int) -> None:
    alone = [
        replace(text, ordinal=i) for i, item in enumerate(TEXTS) for text in profile_texts(model, [item])
    ]
    assert_same(list(profile_texts(model, TEXTS, token_budget=budget)), alone)


def test_order_does_not_change_numbers(model: Model) -> None:
    in_order = list(profile_texts(model, TEXTS, token_budget=60))
    reversed_order = list(profile_texts(model, TEXTS[::-1], token_budget=60))
    assert_same(reversed_order[::-1], in_order)


def test_buffers_do_not_change_numbers(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    one_buffer = list(profile_texts(model, TEXTS))
    monkeypatch.setattr("layerscope.core.batching.BUFFER_TEXTS", 2)
    assert_same(list(profile_texts(model, TEXTS)), one_buffer)


def test_the_same_texts_give_the_same_bits(model: Model) -> None:
    one, two = (list(profile_texts(model, TEXTS)) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_and_mlp_add_up_to_the_block(folder: Path, dtype: str) -> None:
    for text in profile_texts(load_model(folder, dtype=dtype), ["a text", "and another one"]):
        block, attention, mlp = text.values[..., METRICS.index("delta_mean")]
        scale = text.values[0, ..., METRICS.index("delta_abs_mean")]
        assert np.max(np.abs(attention + mlp - block) / scale) < 1e-5


def test_a_layer_with_zero_weights_adds_nothing(tmp_path: Path) -> None:
    causal = causal_model()
    set_output_to_zero(causal, 2)
    (found,) = profile_texts(load_model(save(causal, tmp_path)), ["a text"])
    layer = dict(zip(METRICS, found.values[:, :, 2].transpose(2, 0, 1), strict=True))
    for metric in ("delta_mean", "delta_abs_mean", "delta_rms", "relative_norm", "block_influence"):
        assert (layer[metric] == 0).all(), metric
    assert np.isnan(layer["cosine"]).all()
    assert (layer["residual_rms"] > 0).all()
    assert np.isfinite(np.delete(found.values, 2, axis=2)).all()


@pytest.mark.parametrize("budget", [20, 1_000])
def test_a_non_finite_text_names_the_first_layer_and_does_not_affect_the_others(
    tmp_path: Path, budget: int
) -> None:
    causal = causal_model()
    make_non_finite(causal, layer=1, byte="!")
    model = load_model(save(causal, tmp_path))
    texts = ["good", "also good", "good", "bad!", "good again"]
    found = list(profile_texts(model, texts, token_budget=budget))
    assert [text.error for text in found] == [
        None,
        None,
        None,
        "the activations at layer 1 are not finite in float32",
        None,
    ]
    assert found[3].tokens == 5
    assert np.isnan(found[3].values).all()
    assert_same(found[:3], list(profile_texts(model, texts[:3])))
    assert all(np.isfinite(text.values).all() for text in found if text.error is None)


def test_the_method_of_the_original_study_agrees(folder: Path, model: Model) -> None:
    """It runs the causal model on one text at a time and subtracts the outputs of consecutive layers."""
    causal: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    outputs: list[torch.Tensor] = []
    for layer in causal.model.layers:
        layer.register_forward_hook(lambda _module, _args, output: outputs.append(output.detach().cpu()))
    texts = ["for (int i = 0; i < n; ++i) sum += a[i];", "Revenue rose by 3 %.", "y" * 200]
    worst = 0.0
    for text, found in zip(texts, profile_texts(model, texts), strict=True):
        outputs.clear()
        with torch.no_grad():
            causal(**byte_tokenizer()(text, return_tensors="pt"))
        for i in range(len(outputs) - 1):  # transition i of the study is layer i + 1
            delta = outputs[i + 1] - outputs[i]
            mean, size = found.values[0, 0, i + 1, :2]
            worst = max(
                worst,
                abs(mean / size - delta.mean().item() / size),
                abs(delta.abs().mean().item() / size - 1),
            )
    print(f"original study: {worst:.1e}")
    assert worst < 1e-6


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_bf16"), reason="no bfloat16 instructions")
def test_a_packed_text_in_bfloat16_has_the_bits_of_the_text_alone(folder: Path) -> None:
    model = load_model(folder, dtype="bfloat16")
    for text in profile_texts(model, TEXTS):
        (alone,) = profile_texts(model, [TEXTS[text.ordinal]])
        np.testing.assert_array_equal(text.values, alone.values)


def test_the_model_is_unchanged_afterwards(model: Model) -> None:
    list(profile_texts(model, ["a text"]))
    assert model.module.config._attn_implementation == "sdpa"
    assert count_hooks(model.module) == 0


def test_one_string_is_not_a_list_of_texts(model: Model) -> None:
    with pytest.raises(ValueError, match="not one string"):
        profile_texts(model, "abc")


@pytest.mark.parametrize("chosen", [COMPONENTS, ("mlp", "block")])
def test_the_values_as_a_dictionary(model: Model, chosen: tuple[str, ...]) -> None:
    for text in profile_texts(model, ["a text", "", "x"], components=chosen):
        found = text.to_dict()
        assert list(found) == [name for name in COMPONENTS if name in chosen]
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        for component, scopes in found.items():
            assert list(scopes) == list(SCOPES)
            for scope, metrics in scopes.items():
                assert list(metrics) == list(METRICS)
                place = list(found).index(component), SCOPES.index(scope)
                values = np.array(list(metrics.values()), float).T
                np.testing.assert_array_equal(values, text.values[place])
