from pathlib import Path

import numpy as np
import pytest
import torch

from layerscope.core import analyse_texts, load_model, profile_texts
from layerscope.core.analysis.largest_activations import largest
from layerscope.names import METRICS, SCOPES
from layerscope.stats.token_share import first_token_share
from tests.support.models.tiny import add_known_activations, causal_model, save

ADDED = {17: 328.0, 5: -210.0, 23: 120.0, 11: 64.0}
WRITTEN, REMOVED = 1, 4
TEXTS = ["a text", "and a longer one, of 31 letters", "xyz"]


@pytest.mark.parametrize("text", TEXTS)
def test_known_activations_are_found(text: str, tmp_path: Path) -> None:
    causal = causal_model(num_hidden_layers=6)
    add_known_activations(causal, WRITTEN, REMOVED, ADDED)
    model = load_model(save(causal, tmp_path))
    (found,) = analyse_texts(model, [text], analyses=())
    assert found.activations is not None
    embedded = causal.model.embed_tokens.weight.detach().numpy()[model.tokenizer(text)["input_ids"]]
    expected = embedded.copy()
    expected[0, list(ADDED)] = list(ADDED.values())
    for layer in range(6):
        present = WRITTEN <= layer < REMOVED
        sizes = np.abs(expected if present else embedded)
        order = np.argsort(-sizes.max(axis=0))[:4]
        median = np.sort(sizes, axis=None)[(sizes.size - 1) // 2]
        np.testing.assert_array_equal(found.activations.units[layer], order)
        np.testing.assert_array_equal(found.activations.tokens[layer], sizes.argmax(axis=0)[order])
        np.testing.assert_allclose(np.abs(found.activations.values[layer]), sizes.max(axis=0)[order], 1e-5)
        np.testing.assert_allclose(found.activations.ratio[layer], sizes.max() / median, 1e-5)
        if present:
            assert found.activations.units[layer].tolist() == list(ADDED)
            assert not found.activations.tokens[layer].any()
            np.testing.assert_allclose(found.activations.values[layer], list(ADDED.values()), 1e-6)


def test_the_first_token_has_the_whole_share_of_known_activations(tmp_path: Path) -> None:
    causal = causal_model(num_hidden_layers=6)
    add_known_activations(causal, WRITTEN, REMOVED, ADDED)
    texts = list(profile_texts(load_model(save(causal, tmp_path)), TEXTS))
    values = np.array([text.values[0, :, :, METRICS.index("delta_abs_mean")] for text in texts])
    tokens = np.array([text.tokens for text in texts])
    all_tokens, first = values[:, SCOPES.index("all")], values[:, SCOPES.index("first")]
    np.testing.assert_allclose(all_tokens[:, WRITTEN], sum(map(abs, ADDED.values())) / 32 / tokens, 1e-6)
    share = first_token_share(all_tokens, first, tokens)
    expected = np.full(6, np.nan)
    expected[[WRITTEN, REMOVED]] = 1.0
    np.testing.assert_allclose(share.mean, expected, 1e-12)
    np.testing.assert_allclose(share.variance, expected, 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_residual_computed_by_hand(dtype: torch.dtype) -> None:
    residual = torch.tensor([[0, 1, -2, 3, 0], [8, -1, -16, 0, 0.5]], dtype=dtype)
    assert largest(residual).tolist() == [2, 0, 3, 1, -16, 8, 3, 1, 1, 1, 0, 0, 16]
    # the sizes are 0 0 0 0.5 1 | 1 2 3 8 16: the median is the lower of the middle two


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_median_of_zero_has_no_ratio(value: float) -> None:
    residual = torch.zeros(3, 8)
    residual[2, 6] = value
    found = largest(residual)
    assert found[4:8].tolist() == [value, 0, 0, 0]
    assert found[-1].isnan()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_the_largest_value_of_a_non_finite_residual_is_not_finite(wrong: float) -> None:
    residual = torch.ones(3, 8)
    residual[1, 4] = wrong
    assert not largest(residual)[4].isfinite()
