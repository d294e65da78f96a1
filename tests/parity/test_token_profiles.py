"""Compares the numbers of every token, and the logit lens, with a Llama written in numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerscope.core import TokenProfiles, analyse_texts, load_model
from layerscope.names import METRICS, TOKEN_METRICS
from tests.support.models.numpy_llama import Array, contributions, metrics, norm, weights
from tests.support.models.tiny import byte_tokenizer, causal_model, save

FLOAT32 = 1e-5
TEXTS = ["int main() { return 0; }", "x", "def f(x):\n    return x * x  # squares\n" * 5, "π ≈ 3.14159 数字"]
CHOSEN = [METRICS.index(metric) for metric in TOKEN_METRICS]


def token_profiles(causal: Any, folder: Path) -> list[TokenProfiles]:
    found = analyse_texts(load_model(save(causal, folder)), TEXTS, ("logit_lens", "tokens"))
    profiles = [text.token_profiles for text in found]
    assert None not in profiles
    return [profile for profile in profiles if profile is not None]


def test_the_metrics_of_every_token(tmp_path: Path) -> None:
    causal = causal_model()
    worst = 0.0
    for text, profile in zip(TEXTS, token_profiles(causal, tmp_path), strict=True):
        ids = byte_tokenizer()(text)["input_ids"]
        assert profile.ids.tolist() == ids
        steps, _ = contributions(causal, ids)
        assert profile.values.shape == (len(ids), 3, len(steps), len(TOKEN_METRICS))
        for layer, components in enumerate(steps):
            for component, (h, delta) in enumerate(components):
                for token in range(len(ids)):
                    one = slice(token, token + 1)
                    want = np.array(metrics(h[one], delta[one]))[CHOSEN]
                    error = np.abs(profile.values[token, component, layer] - want) / np.maximum(want, 1)
                    worst = max(worst, error.max())
    print(f"{worst:.1e}")
    assert worst < FLOAT32


@pytest.mark.parametrize("layers", [1, 4])
def test_the_rank_of_the_next_token_and_the_most_probable_one(layers: int, tmp_path: Path) -> None:
    causal = causal_model(num_hidden_layers=layers)
    for text, profile in zip(TEXTS, token_profiles(causal, tmp_path), strict=True):
        ids = byte_tokenizer()(text)["input_ids"]
        assert profile.predictions is not None
        for layer, logits in enumerate(lens_logits(causal, ids)):
            order = np.argsort(-logits, axis=1)
            ranks, top1 = profile.predictions[:, layer].T
            np.testing.assert_array_equal(top1, order[:, 0])
            want = [1 + order[token].tolist().index(ids[token + 1]) for token in range(len(ids) - 1)]
            np.testing.assert_array_equal(ranks, [*want, np.nan])


def lens_logits(causal: Any, ids: list[int]) -> list[Array]:
    """(T, V) after each layer."""
    _, residuals = contributions(causal, ids)
    scale, epsilon = weights(causal)["norm.weight"], causal.config.rms_norm_eps
    head = causal.lm_head.weight.detach().double().numpy()
    return [norm(h, scale, epsilon) @ head.T for h in residuals[1:]]
