"""Error rates and coverage are the nominal ones, in 2,000 simulated layers per test."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats.bootstrap import bca_interval
from layerscope.stats.length_adjustment import adjusted, adjusted_paired
from layerscope.stats.two_sample import paired, sample_of, welch

Array = NDArray[np.float64]
LAYERS = 2_000
ONE = np.ones(LAYERS)


def share(holds: NDArray[np.bool_]) -> float:
    assert holds.shape == (LAYERS,)
    return float(holds.mean())


def assert_rejects_five_percent(p_values: Array) -> None:
    assert 0.035 <= share(p_values < 0.05) <= 0.065


def assert_covers(low: Array, truth: float, high: Array) -> None:
    assert 0.93 <= share((low <= truth) & (truth <= high)) <= 0.97


@pytest.mark.parametrize(("n", "m", "ratio"), [(10, 10, 1), (8, 30, 3), (60, 20, 0.3)])
def test_welch(n: int, m: int, ratio: float, rng: np.random.Generator) -> None:
    a, b = rng.normal(3, 1, (n, LAYERS)), rng.normal(3, ratio, (m, LAYERS))
    found = welch(sample_of(a), sample_of(b), ONE)
    assert_rejects_five_percent(found.p_value)
    assert_covers(found.ci_low, 0, found.ci_high)


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.5])
@pytest.mark.parametrize(("n", "m"), [(10, 12), (40, 15)])
def test_hedges_g(n: int, m: int, effect: float, rng: np.random.Generator) -> None:
    a, b = rng.normal(effect, 1, (n, LAYERS)), rng.normal(0, 1, (m, LAYERS))
    found = welch(sample_of(a), sample_of(b), ONE)
    assert found.hedges_g.mean() == pytest.approx(effect, abs=0.03)
    assert_covers(found.g_ci_low, effect, found.g_ci_high)


@pytest.mark.parametrize("effect", [0.0, 0.8])
@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_the_paired_test(effect: float, shared: float, rng: np.random.Generator) -> None:
    common = rng.normal(0, shared, (25, LAYERS))
    a, b = (common + rng.normal(mean, 1, (25, LAYERS)) for mean in (effect, 0))
    found = paired(a, b, ONE)
    if effect == 0:
        assert_rejects_five_percent(found.p_value)
    assert_covers(found.ci_low, effect, found.ci_high)
    assert_covers(found.g_ci_low, effect / np.sqrt(1 + shared**2), found.g_ci_high)


def with_length(tokens: Array, rng: np.random.Generator) -> Array:
    """Layers whose values depend only on the length of the text, with more noise for shorter texts."""
    noise = rng.normal(size=(len(tokens), LAYERS)) * (0.2 + 2 / np.sqrt(tokens[:, None]))
    return noise + (np.log(tokens) - 10 / tokens)[:, None]


def test_an_effect_of_length_alone_is_significant_only_without_adjustment(rng: np.random.Generator) -> None:
    tokens_a, tokens_b = (np.round(rng.lognormal(mean, 0.7, 60)) + 2 for mean in (3.5, 4.5))
    a, b = with_length(tokens_a, rng), with_length(tokens_b, rng)
    assert share(welch(sample_of(a), sample_of(b), ONE).p_value < 0.05) > 0.5
    found = adjusted(a, tokens_a, b, tokens_b, ONE)
    assert_rejects_five_percent(found.adjusted_p_value)
    assert_covers(found.adjusted_ci_low, 0, found.adjusted_ci_high)


def test_the_same_for_pairs(
    rng: np.random.Generator,
) -> None:
    tokens_a = np.round(rng.lognormal(3.5, 0.7, 60)) + 2
    tokens_b = np.round(tokens_a * rng.uniform(1, 4, 60))
    a, b = with_length(tokens_a, rng), with_length(tokens_b, rng)
    assert share(paired(a, b, ONE).p_value < 0.05) > 0.5
    found = adjusted_paired(a, tokens_a, b, tokens_b, ONE)
    assert_rejects_five_percent(found.adjusted_p_value)
    assert_covers(found.adjusted_ci_low, 0, found.adjusted_ci_high)


@pytest.mark.parametrize("n", [8, *[pytest.param(n, marks=pytest.mark.slow) for n in (12, 20, 35, 49)]])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_interval_for_few_texts(n: int, skewed: bool, rng: np.random.Generator) -> None:
    """The skew is that of the metrics of texts: log-normal with standard deviation 0.25."""
    values = rng.lognormal(0, 0.25, (n, LAYERS)) if skewed else rng.normal(size=(n, LAYERS))
    truth = float(stats.lognorm.mean(0.25)) if skewed else 0.0
    low, high = bca_interval(values)
    assert_covers(low, truth, high)
