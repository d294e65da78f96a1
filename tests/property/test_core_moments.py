import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from layerscope.stats.moments import Moments

Rows = NDArray[np.float64]

ROWS = st.tuples(st.integers(0, 12), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)))
)


def moments_of(rows: Rows) -> Moments:
    moments = Moments((rows.shape[1],))
    for row in rows:
        moments.add(row[None])
    return moments


def assert_same(one: Moments, other: Moments) -> None:
    left, right = one.summary(), other.summary()
    np.testing.assert_array_equal(left.count, right.count)
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-9, atol=1e-6, err_msg=name
        )


@given(ROWS)
def test_numpy_agrees(rows: Rows) -> None:
    summary = moments_of(rows).summary()
    for column, count, mean, var in zip(rows.T, summary.count, summary.mean, summary.var, strict=True):
        present = column[~np.isnan(column)]
        assert count == len(present)
        np.testing.assert_allclose(mean, present.mean() if len(present) else np.nan, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            var, present.var(ddof=1) if len(present) > 1 else np.nan, rtol=1e-9, atol=1e-6
        )


@given(ROWS.filter(len))
def test_texts_that_are_added_together_count_as_if_added_one_by_one(rows: Rows) -> None:
    together = Moments((rows.shape[1],))
    together.add(rows)
    assert_same(together, moments_of(rows))


@given(st.floats(-1e6, 1e6), st.integers(2, 12))
def test_equal_values_have_no_variance(value: float, texts: int) -> None:
    moments = Moments((1,))
    moments.add(np.full((texts, 1), value))
    moments.add(np.full((1, 1), value))
    assert moments.summary().var.tolist() == [0]


@given(ROWS, st.integers(0, 12), st.integers(0, 12))
def test_merging_in_any_grouping_is_adding_all(rows: Rows, cut: int, other_cut: int) -> None:
    low, high = sorted((cut, other_cut))
    left, middle, right = (moments_of(part) for part in (rows[:low], rows[low:high], rows[high:]))
    outer = moments_of(rows[:low]).merge(moments_of(rows[low:high])).merge(moments_of(rows[high:]))
    inner = left.merge(middle.merge(right))
    assert_same(outer, moments_of(rows))
    assert_same(inner, moments_of(rows))


@given(ROWS, st.integers(0, 12))
def test_merging_is_commutative(rows: Rows, cut: int) -> None:
    there = moments_of(rows[:cut]).merge(moments_of(rows[cut:]))
    back = moments_of(rows[cut:]).merge(moments_of(rows[:cut]))
    assert_same(there, back)


@given(ROWS, st.floats(-1e3, 1e3))
def test_shifting_moves_the_mean_alone(rows: Rows, shift: float) -> None:
    here, there = moments_of(rows).summary(), moments_of(rows + shift).summary()
    np.testing.assert_allclose(there.mean, here.mean + shift, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(there.var, here.var, rtol=1e-6, atol=1e-3)


@given(ROWS)
def test_the_interval_encloses_the_mean(rows: Rows) -> None:
    summary = moments_of(rows).summary()
    known = summary.count > 1
    assert (summary.var[known] >= 0).all()
    assert (summary.ci_low[known] <= summary.mean[known]).all()
    assert (summary.mean[known] <= summary.ci_high[known]).all()
    assert np.isnan(summary.ci_low[~known]).all()
