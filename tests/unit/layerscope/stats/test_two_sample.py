"""A test that cannot be computed is nan, without an exception and without a warning."""

import numpy as np
import pytest

from layerscope.arrays import Array
from layerscope.stats.two_sample import paired, sample_of, welch

NAN = np.nan
TESTS = ("ci_low", "ci_high", "hedges_g", "g_ci_low", "g_ci_high", "p_value")


def column(*values: float) -> Array:
    return np.array(values)[:, None]


CASES = {
    "one text each": (column(1), column(2)),
    "one text against many": (column(1), column(2, 3, 4)),
    "no spread": (column(2, 2, 2), column(2, 2, 2)),
    "no spread, but a difference": (column(2, 2, 2), column(3, 3, 3)),
    "rounding": (column(2, 2 + 1e-7, 2), column(2 + 2e-7, 2, 2 + 2e-7)),
    "all zero": (column(0, 0, 0), column(0, 0, 0)),
    "no value": (column(NAN, NAN, NAN), column(1, 2, 3)),
    "no value in either": (column(NAN, NAN), column(NAN, NAN)),
}


@pytest.mark.parametrize(("a", "b"), CASES.values(), ids=CASES)
def test_without_enough_values_or_spread_there_is_no_test(a: Array, b: Array) -> None:
    found = welch(sample_of(a), sample_of(b), np.array([2.0]))
    assert all(np.isnan(getattr(found, name)) for name in TESTS)
    if np.isfinite(a).all():
        assert found.difference == a.mean() - b.mean()


@pytest.mark.parametrize(("a", "b"), [case for case in CASES.values() if len(case[0]) == len(case[1])])
def test_without_enough_values_or_spread_there_is_no_paired_test(a: Array, b: Array) -> None:
    found = paired(a, b, np.array([2.0]))
    assert all(np.isnan(getattr(found, name)) for name in TESTS)


def test_pairs_with_equal_differences_cannot_be_tested() -> None:
    found = paired(column(1, 2, 3), column(2, 3, 4), np.array([2.0]))
    assert found.difference == -1
    assert np.isnan(found.p_value)


def test_the_spread_of_one_domain_is_enough_for_a_test() -> None:
    found = welch(sample_of(column(2, 2, 2)), sample_of(column(3, 4, 6)), np.array([2.0]))
    assert np.isfinite(found.p_value)
    assert np.isfinite(found.g_ci_low)


def test_rounding_is_relative_to_the_given_size() -> None:
    a, b = sample_of(column(1e-6, 2e-6, 4e-6)), sample_of(column(5e-6, 7e-6, 6e-6))
    assert np.isfinite(welch(a, b, np.array([1e-5])).p_value)
    assert np.isnan(welch(a, b, np.array([10.0])).p_value)
