from pathlib import Path

import numpy as np
import pytest
import torch

from layerscope.core import analyse_texts, load_model, profile_texts
from layerscope.core.analysis.largest_activations import largest
from layerscope.names import METRICS, SCOPES
from layerscope.stats.token_share import first_token_share
from tests.support.tiny import causal_model, plant, save

PLANTED = {17: 328.0, 5: -210.0, 23: 120.0, 11: 64.0}
WRITTEN, ERASED = 1, 4
TEXTS = ["a text", "and a longer one, of 31 letters", "xyz"]


@pytest.mark.parametrize("text", TEXTS)
def test_planted_activations_are_found_where_they_are(text: str, tmp_path: Path) -> None:
    causal = causal_model(num_hidden_layers=6)
    plant(causal, WRITTEN, ERASED, PLANTED)
    model = load_model(save(causal, tmp_path))
    (found,) = analyse_texts(model, [text], analyses=())
    assert found.activations is not None
    embedded = causal.model.embed_tokens.weight.detach().numpy()[model.tokenizer(text)["input_ids"]]
    planted = embedded.copy()
    planted[0, list(PLANTED)] = list(PLANTED.values())
    for layer in range(6):
        there = WRITTEN <= layer < ERASED
        sizes = np.abs(planted if there else embedded)
        order = np.argsort(-sizes.max(axis=0))[:4]
        median = np.sort(sizes, axis=None)[(sizes.size - 1) // 2]
        np.testing.assert_array_equal(found.activations.units[layer], order)
        np.testing.assert_array_equal(found.activations.tokens[layer], sizes.argmax(axis=0)[order])
        np.testing.assert_allclose(np.abs(found.activations.values[layer]), sizes.max(axis=0)[order], 1e-5)
        np.testing.assert_allclose(found.activations.ratio[layer], sizes.max() / median, 1e-5)
        if there:
            assert found.activations.units[layer].tolist() == list(PLANTED)
            assert not found.activations.tokens[layer].any()
            np.testing.assert_allclose(found.activations.values[layer], list(PLANTED.values()), 1e-6)


def test_the_first_token_explains_all_of_what_was_planted(tmp_path: Path) -> None:
    causal = causal_model(num_hidden_layers=6)
    plant(causal, WRITTEN, ERASED, PLANTED)
    texts = list(profile_texts(load_model(save(causal, tmp_path)), TEXTS))
    values = np.array([text.values[0, :, :, METRICS.index("delta_abs_mean")] for text in texts])
    tokens = np.array([text.tokens for text in texts])
    everything, first = values[:, SCOPES.index("all")], values[:, SCOPES.index("first")]
    np.testing.assert_allclose(everything[:, WRITTEN], sum(map(abs, PLANTED.values())) / 32 / tokens, 1e-6)
    share = first_token_share(everything, first, tokens)
    wanted = np.full(6, np.nan)
    wanted[[WRITTEN, ERASED]] = 1.0
    np.testing.assert_allclose(share.mean, wanted, 1e-12)
    np.testing.assert_allclose(share.variance, wanted, 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_residual_by_hand(dtype: torch.dtype) -> None:
    residual = torch.tensor([[0, 1, -2, 3, 0], [8, -1, -16, 0, 0.5]], dtype=dtype)
    assert largest(residual).tolist() == [2, 0, 3, 1, -16, 8, 3, 1, 1, 1, 0, 0, 16]
    # the sizes are 0 0 0 0.5 1 | 1 2 3 8 16: of the middle two the lower


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_median_of_zero_has_no_ratio(value: float) -> None:
    residual = torch.zeros(3, 8)
    residual[2, 6] = value
    found = largest(residual)
    assert found[4:8].tolist() == [value, 0, 0, 0]
    assert found[-1].isnan()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_a_residual_that_is_not_finite_shows(wrong: float) -> None:
    residual = torch.ones(3, 8)
    residual[1, 4] = wrong
    assert not largest(residual)[4].isfinite()
