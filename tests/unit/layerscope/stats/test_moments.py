import numpy as np
import pytest
from scipy import stats

from layerscope.stats.moments import Moments


def moments_of(texts: list[list[float]]) -> Moments:
    moments = Moments((len(texts[0]),))
    for values in texts:
        moments.add(np.array([values]))
    return moments


def test_the_summary_agrees_with_numpy_and_scipy() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3))
    summary = moments_of(rows.tolist()).summary()
    low, high = stats.t.interval(0.95, 19, loc=rows.mean(0), scale=stats.sem(rows))
    np.testing.assert_allclose(summary.mean, rows.mean(0))
    np.testing.assert_allclose(summary.var, rows.var(0, ddof=1))
    np.testing.assert_allclose(summary.std, rows.std(0, ddof=1))
    np.testing.assert_allclose(summary.ci_low, low)
    np.testing.assert_allclose(summary.ci_high, high)
    assert summary.count.tolist() == [20, 20, 20]


def test_missing_values_do_not_count() -> None:
    summary = moments_of([[1, np.nan, np.nan], [3, 5, np.nan]]).summary()
    assert summary.count.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(summary.mean, [2, 5, np.nan])
    np.testing.assert_array_equal(summary.var, [2, np.nan, np.nan])
    assert np.isnan(summary.ci_low[1:]).all()
    assert np.isnan(summary.ci_high[1:]).all()


def test_a_summary_without_texts() -> None:
    summary = Moments((2,)).summary()
    assert summary.count.tolist() == [0, 0]
    assert np.isnan(summary.mean).all()


def test_the_variance_of_values_with_a_large_offset() -> None:
    rows = [[1e9 + step] for step in (4.0, 7.0, 13.0, 16.0)]
    assert moments_of(rows).summary().var[0] == pytest.approx(30.0, rel=1e-12)


def test_merge_returns_itself_and_does_not_change_the_other() -> None:
    left, right = moments_of([[1.0], [2.0]]), moments_of([[6.0]])
    assert left.merge(right) is left
    assert left.summary().mean.tolist() == [3.0]
    assert right.summary().count.tolist() == [1]
