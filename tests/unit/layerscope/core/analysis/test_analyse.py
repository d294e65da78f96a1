from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode  # has no public name

from layerscope.core import Model, TextAnalysis, analyse_texts, load_head, load_model
from layerscope.core.analysis import batch_numbers
from layerscope.core.analysis.distribution import slices
from layerscope.names import ANALYSIS_METRICS, COMPONENTS, PREDICTION_ANALYSES, TOKEN_METRICS
from tests.support.models.tiny import (
    add_known_activations,
    causal_model,
    count_hooks,
    make_non_finite,
    save,
    set_output_to_zero,
)

TEXTS = ["one", "a longer text, of some forty characters", "", "x" * 300, "№ 5", "one"]
ABLATION, LENS = slice(0, 2), slice(2, 5)


def assert_same(found: list[TextAnalysis], expected: list[TextAnalysis]) -> None:
    """Equal except for the order of summation in matrix products; the agreement must be exactly equal."""
    for one, other in zip(found, expected, strict=True):
        assert (one.tokens, one.truncated, one.error) == (other.tokens, other.truncated, other.error)
        np.testing.assert_allclose(one.values, other.values, rtol=2e-5, atol=5e-6)
        np.testing.assert_array_equal(one.values[:, -1], other.values[:, -1])
        if one.activations and other.activations:
            np.testing.assert_array_equal(one.activations.units, other.activations.units)
            np.testing.assert_array_equal(one.activations.tokens, other.activations.tokens)
            np.testing.assert_allclose(one.activations.values, other.activations.values, rtol=2e-5)
            np.testing.assert_allclose(one.activations.ratio, other.activations.ratio, rtol=2e-5)


def alone(model: Model, texts: list[str]) -> list[TextAnalysis]:
    return [found for text in texts for found in analyse_texts(model, [text])]


def test_shape_and_order(model: Model) -> None:
    found = list(analyse_texts(model, TEXTS))
    assert [text.ordinal for text in found] == list(range(6))
    assert [text.tokens for text in found] == [4, 40, 0, 256, 6, 4]
    assert [text.truncated for text in found] == [False, False, False, True, False, False]
    assert [text.error for text in found] == [None, None, "the text is empty", None, None, None]
    for text in found:
        assert text.values.shape == (4, len(ANALYSIS_METRICS))
        assert text.values.dtype == np.float64
        assert np.isfinite(text.values).all() == (text.error is None) == (text.activations is not None)
        assert np.isnan(text.values).all() == (text.error is not None)


def test_a_text_that_is_too_long_does_not_affect_the_others(model: Model) -> None:
    found = list(analyse_texts(model, TEXTS, max_tokens=40, overflow="fail"))
    assert found[3].error == (
        "the text has 301 tokens, more than the limit of 40; shorten it, or set overflow to truncate"
    )
    assert [text.error is None for text in found] == [True, True, False, False, True, True]


def test_a_truncated_text_has_the_values_of_its_beginning(model: Model) -> None:
    cut, whole = analyse_texts(model, ["abcdefghij" * 4, "abcdefghi"], max_tokens=10)
    assert (cut.tokens, cut.truncated, whole.truncated) == (10, True, False)
    np.testing.assert_allclose(cut.values, whole.values, rtol=1e-5, atol=1e-6)


def test_only_the_tokens_of_the_window_count(model: Model) -> None:
    short, long = analyse_texts(model, ["abc", "abcdefghij" * 4], window=10)
    assert short.error == "the text has 4 tokens, fewer than the window of 10; choose a smaller window"
    (whole,) = analyse_texts(model, ["abcdefghi"])
    np.testing.assert_allclose(long.values, whole.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_a_text_does_not_depend_on_the_other_texts(model: Model, budget: int) -> None:
    assert_same(list(analyse_texts(model, TEXTS, token_budget=budget)), alone(model, TEXTS))


def test_order_does_not_change_numbers(model: Model) -> None:
    in_order, reversed_order = (
        list(analyse_texts(model, texts, token_budget=60)) for texts in (TEXTS, TEXTS[::-1])
    )
    assert_same(reversed_order[::-1], in_order)


@pytest.mark.parametrize("limit", [1, 40_000])
def test_slices_do_not_change_numbers(model: Model, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    whole = list(analyse_texts(model, TEXTS))
    monkeypatch.setitem(batch_numbers._SLICE, "cpu", limit)
    assert_same(list(analyse_texts(model, TEXTS)), whole)


def test_a_text_of_one_token_has_no_prediction_to_compare(tmp_path: Path) -> None:
    model = load_model(save(causal_model(), tmp_path, bos=False))
    found, pair = analyse_texts(model, ["x", "xy"])
    assert (found.tokens, found.error) == (1, None)
    assert np.isnan(found.values[:, ABLATION]).all()
    assert np.isfinite(found.values[:, LENS]).all()
    assert found.activations is not None
    assert not found.activations.tokens.any()
    assert np.isfinite(pair.values).all()


@pytest.mark.parametrize("chosen", [("ablation",), ("logit_lens",), ()])
def test_an_analysis_that_is_not_selected_has_no_values(model: Model, chosen: tuple[str, ...]) -> None:
    whole = list(analyse_texts(model, TEXTS))
    kept = [i for i, name in enumerate(("ablation",) * 2 + ("logit_lens",) * 3) if name in chosen]
    for part, full in zip(analyse_texts(model, TEXTS, chosen), whole, strict=True):
        np.testing.assert_array_equal(part.values[:, kept], full.values[:, kept])
        assert np.isnan(np.delete(part.values, kept, axis=1)).all()
        assert (part.activations is None) == (full.activations is None)


def test_skipping_a_layer_that_adds_nothing_changes_nothing(tmp_path: Path) -> None:
    causal = causal_model()
    set_output_to_zero(causal, 2)
    (found,) = analyse_texts(load_model(save(causal, tmp_path)), ["a text"])
    assert (found.values[2, ABLATION] == 0).all()
    assert (found.values[[0, 1, 3], 1] > 0.01).all()
    np.testing.assert_array_equal(found.values[2, LENS], found.values[1, LENS])


def test_the_lens_after_the_last_layer_is_the_output_of_the_model(model: Model) -> None:
    (found,) = analyse_texts(model, ["a text of the usual kind"])
    kl, agreement = found.values[:, ANALYSIS_METRICS.index("lens_kl") :].T
    assert (kl[-1], agreement[-1]) == (0, 1)
    assert (kl[:-1] > 0).all()


def test_skipping_a_layer_runs_only_the_layers_after_it(model: Model) -> None:
    runs: Counter[int] = Counter()
    with ExitStack() as hooks:
        for index, layer in enumerate(model.module.layers):
            hooks.enter_context(layer.register_forward_hook(lambda *_, index=index: runs.update([index])))
        list(analyse_texts(model, ["a text", "and another"]))
    assert runs == {layer: 1 + layer for layer in range(4)}


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The bytes of the largest tensor that any operation returned."""

    found: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        views = out if isinstance(out, tuple | list) else [out]
        sizes = [view.numel() * view.itemsize for view in views if isinstance(view, torch.Tensor)]
        self.found = max([self.found, *sizes])
        return out


def largest_tensor(model: Model, head: nn.Linear) -> int:
    with Largest() as largest:  # type: ignore[no-untyped-call]
        list(analyse_texts(model, ["x" * 255, "y" * 199], head=head, token_budget=1_000))
    return int(largest.found)


def test_logits_are_computed_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(save(causal_model(vocab_size=2_000), tmp_path))
    head = load_head(model)
    assert largest_tensor(model, head) == 456 * 2_000 * 4  # below the limit a batch is one slice
    monkeypatch.setitem(batch_numbers._SLICE, "cpu", 400_000)
    assert largest_tensor(model, head) == 50 * 2_000 * 4


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "sizes"), [(10, 100, [4, 4, 2]), (8, 100, [4, 4]), (3, 10_000, [1, 1, 1])]
)
def test_slices_cover_a_batch(tokens: int, vocabulary: int, sizes: list[int]) -> None:
    cut = list(slices(tokens, vocabulary, 1_600))
    assert [len(range(tokens)[part]) for part in cut] == sizes
    assert [i for part in cut for i in range(tokens)[part]] == list(range(tokens))


def test_a_non_finite_text_names_the_first_layer_and_does_not_affect_the_others(tmp_path: Path) -> None:
    causal = causal_model()
    make_non_finite(causal, layer=1, byte="!")
    model = load_model(save(causal, tmp_path))
    texts = ["good", "also good", "bad!", "good again"]
    found = list(analyse_texts(model, texts))
    assert [text.error for text in found] == [
        *(None, None),
        "the activations at layer 1 are not finite in float32",
        None,
    ]
    assert np.isnan(found[2].values).all()
    assert found[2].activations is None
    assert_same(found, alone(model, texts))


@pytest.mark.parametrize(
    ("analyses", "metric"), [(("ablation",), "ablation_nll"), (("logit_lens",), "lens_entropy")]
)
def test_the_error_of_infinite_logits_names_the_metric(
    folder: Path, analyses: tuple[str], metric: str
) -> None:
    model = load_model(folder, matmul="default")
    head = load_head(model)
    head.weight[7] = torch.inf
    (found,) = analyse_texts(model, ["a text"], analyses, head=head)
    assert found.error == f"{metric} at layer 0 is not finite in float32"
    assert np.isnan(found.values).all()


def test_the_check_can_end_the_analysis_within_a_batch(model: Model) -> None:
    before = list(analyse_texts(model, TEXTS))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(analyse_texts(model, TEXTS, check=check))
    assert calls == 7
    assert_same(list(analyse_texts(model, TEXTS)), before)


def test_texts_are_read_lazily(model: Model) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "a text of some length"

    found = analyse_texts(model, endless(), token_budget=100)
    assert read == 0
    assert next(found).ordinal == 0
    assert 0 < read < 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"analyses": ("lens",)}, "analyses must be some of ablation, logit_lens, activations, tokens, not"),
        ({"analyses": "ablation"}, "analyses must be some of"),
        ({"max_tokens": 257}, "model's 256, not 257"),
        ({"token_budget": 0}, "at least 1"),
        ({"window": 0}, "window must be"),
        ({"overflow": "drop"}, "'truncate' or 'fail'"),
    ],
)
def test_invalid_arguments_raise_immediately(model: Model, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyse_texts(model, [], **arguments)


def test_the_same_texts_give_the_same_bits_and_do_not_change_the_model(model: Model) -> None:
    one, two = (list(analyse_texts(model, TEXTS, PREDICTION_ANALYSES)) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.values, second.values)
    assert model.module.config._attn_implementation == "sdpa"
    assert count_hooks(model.module) == 0


def test_the_numbers_of_tokens_exist_only_on_request(model: Model) -> None:
    assert all(text.token_profiles is None for text in analyse_texts(model, TEXTS))
    found = list(analyse_texts(model, TEXTS, ("tokens",)))
    assert [text.token_profiles is None for text in found] == [text.error is not None for text in found]
    for text in found:
        if text.token_profiles is not None:
            assert text.token_profiles.values.shape == (text.tokens, 3, 4, len(TOKEN_METRICS))
            assert text.token_profiles.values.dtype == np.float32
            assert len(text.token_profiles.ids) == text.tokens
            assert text.token_profiles.predictions is None


def test_tokens_without_predictions_need_no_head(tmp_path: Path) -> None:
    folder = save(causal_model().model, tmp_path)
    (found,) = analyse_texts(load_model(folder), ["a text"], ("tokens", "activations"))
    assert found.token_profiles is not None


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_tokens_do_not_depend_on_the_other_texts(model: Model, budget: int) -> None:
    wanted = ("logit_lens", "tokens")
    for text, found in zip(TEXTS, analyse_texts(model, TEXTS, wanted, token_budget=budget), strict=True):
        (alone,) = analyse_texts(model, [text], wanted)
        if found.token_profiles is not None and alone.token_profiles is not None:
            one, other = found.token_profiles, alone.token_profiles
            np.testing.assert_allclose(one.values, other.values, rtol=2e-5, atol=5e-6)
            assert one.predictions is not None
            assert other.predictions is not None
            np.testing.assert_array_equal(one.predictions, other.predictions)


@pytest.mark.parametrize("chosen", [("mlp",), ("attention", "block")])
def test_the_components_of_tokens(model: Model, chosen: tuple[str, ...]) -> None:
    (whole,), (part,) = (
        analyse_texts(model, ["a text"], ("tokens",), components=components)
        for components in (COMPONENTS, chosen)
    )
    assert whole.token_profiles is not None
    assert part.token_profiles is not None
    places = [i for i, name in enumerate(COMPONENTS) if name in chosen]
    np.testing.assert_array_equal(part.token_profiles.values, whole.token_profiles.values[:, places])
    with pytest.raises(ValueError, match="components must be some of block, attention, mlp, not \\(\\)"):
        analyse_texts(model, ["a text"], ("tokens",), components=())


def test_a_token_to_which_nothing_is_added_has_no_cosine(tmp_path: Path) -> None:
    causal = causal_model()
    set_output_to_zero(causal, 2)
    (found,) = analyse_texts(load_model(save(causal, tmp_path)), ["abc"], ("tokens",))
    assert found.token_profiles is not None
    rms, relative, cosine, residual = found.token_profiles.values[:, 0, 2].T
    assert not rms.any()
    assert not relative.any()
    assert np.isnan(cosine).all()
    assert (residual > 0).all()


def test_tokens_whose_squares_exceed_float32_are_an_error(tmp_path: Path) -> None:
    causal = causal_model()
    add_known_activations(causal, written=1, removed=3, values={5: 1e20})
    (found,) = analyse_texts(load_model(save(causal, tmp_path)), ["abc"], ("tokens",))
    assert found.error == "the activations at layer 1 are not finite in float32"
    assert found.token_profiles is None
