import numpy as np
import pytest
from scipy import stats

from layerscope.stats.moments import Moments


def moments_of(rows: list[list[float]]) -> Moments:
    moments = Moments((len(rows[0]),))
    for row in rows:
        moments.add(np.array(row))
    return moments


def test_summary_is_scipys() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3))
    summary = moments_of(rows.tolist()).summary()
    low, high = stats.t.interval(0.95, 19, loc=rows.mean(0), scale=stats.sem(rows))
    np.testing.assert_allclose(summary.mean, rows.mean(0))
    np.testing.assert_allclose(summary.var, rows.var(0, ddof=1))
    np.testing.assert_allclose(summary.std, rows.std(0, ddof=1))
    np.testing.assert_allclose(summary.ci_low, low)
    np.testing.assert_allclose(summary.ci_high, high)
    assert summary.count.tolist() == [20, 20, 20]


def test_absent_values_do_not_count() -> None:
    summary = moments_of([[1, np.nan, np.nan], [3, 5, np.nan]]).summary()
    assert summary.count.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(summary.mean, [2, 5, np.nan])
    np.testing.assert_array_equal(summary.var, [2, np.nan, np.nan])
    assert np.isnan(summary.ci_low[1:]).all()
    assert np.isnan(summary.ci_high[1:]).all()


def test_nothing_added() -> None:
    summary = Moments((2,)).summary()
    assert summary.count.tolist() == [0, 0]
    assert np.isnan(summary.mean).all()


def test_variance_of_a_large_offset() -> None:
    rows = [[1e9 + step] for step in (4.0, 7.0, 13.0, 16.0)]
    assert moments_of(rows).summary().var[0] == pytest.approx(30.0, rel=1e-12)


def test_merge_returns_itself_and_leaves_the_other_alone() -> None:
    left, right = moments_of([[1.0], [2.0]]), moments_of([[6.0]])
    assert left.merge(right) is left
    assert left.summary().mean.tolist() == [3.0]
    assert right.summary().count.tolist() == [1]
