import numpy as np
import pytest
from scipy import stats

from layerscope.stats.bootstrap import RESAMPLES, bca_interval, expanded_level


def test_it_agrees_with_scipy_at_the_expanded_level(rng: np.random.Generator) -> None:
    values = rng.lognormal(size=(20, 3))
    low, high = bca_interval(values)
    for k in range(3):
        expected = stats.bootstrap(
            (values[:, k],),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=expanded_level(20),
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
        width = high[k] - low[k]
        assert low[k] == pytest.approx(expected.low, abs=0.03 * width)  # because the resamples differ
        assert high[k] == pytest.approx(expected.high, abs=0.03 * width)


def test_for_symmetric_values_it_is_close_to_students_t(rng: np.random.Generator) -> None:
    half = rng.normal(size=(10, 4))
    values = np.concatenate([half, -half])
    low, high = bca_interval(values)
    quantile = stats.t.ppf(0.975, 19) * stats.sem(values)
    np.testing.assert_allclose(high, quantile, rtol=0.06)
    np.testing.assert_allclose(low, -quantile, rtol=0.06)


def test_for_skewed_values_it_extends_to_the_long_tail(rng: np.random.Generator) -> None:
    values = rng.exponential(size=(30, 20))
    low, high = bca_interval(values)
    mean = values.mean(0)
    assert ((high - mean) > (mean - low)).mean() > 0.9


def test_the_same_values_give_the_same_bits_and_columns_are_independent(rng: np.random.Generator) -> None:
    values = rng.normal(size=(12, 5))
    values[3, 4] = np.nan
    together = bca_interval(values)
    again = bca_interval(values)
    np.testing.assert_array_equal(together, again)
    np.testing.assert_allclose(bca_interval(values[:, [2]]), np.array(together)[:, [2]], rtol=1e-12)


def test_the_shape_is_kept_and_each_column_has_its_own_count(rng: np.random.Generator) -> None:
    values = rng.normal(size=(12, 2, 3))
    values[:2, 1, 1] = np.nan
    low, high = bca_interval(values)
    assert low.shape == high.shape == (2, 3)
    np.testing.assert_array_equal((low[1, 1], high[1, 1]), np.array(bca_interval(values[2:, 1, 1:2]))[:, 0])


def test_scaling_and_shifting_the_values_scales_and_shifts_the_interval(rng: np.random.Generator) -> None:
    values = rng.lognormal(size=(15, 3))
    low, high = bca_interval(values)
    moved = bca_interval(4 * values - 2)
    np.testing.assert_allclose(moved, (4 * low - 2, 4 * high - 2), rtol=1e-9)
    tiny = bca_interval(1e-9 * values)
    np.testing.assert_allclose(tiny, (1e-9 * low, 1e-9 * high), rtol=1e-9)


def test_an_interval_needs_spread_and_at_least_eight_values(rng: np.random.Generator) -> None:
    values = rng.normal(size=(8, 5))
    values[0, 1] = np.nan
    values[:, 2] = 5.0
    values[:, 4] = 0.0
    values[:, 3] = -5.0 + np.array([0, 1] * 4) * 1e-15
    low, high = bca_interval(values)
    assert np.isfinite(low).tolist() == np.isfinite(high).tolist() == [True, False, False, False, False]
    assert np.isnan(bca_interval(rng.normal(size=(50, 2)))).all()
