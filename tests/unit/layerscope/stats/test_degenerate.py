"""A statistic that cannot be computed is nan, without an exception and without a warning."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from layerscope.stats.bootstrap import bca_interval
from layerscope.stats.length_adjustment import adjusted, adjusted_paired
from layerscope.stats.multiple_testing import benjamini_hochberg, holm
from layerscope.stats.regression import robust_coefficient
from layerscope.stats.two_sample import paired, sample_of, welch

Array = NDArray[np.float64]
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


@pytest.mark.parametrize(
    ("tokens_a", "tokens_b"),
    [
        ([7.0] * 6, [7.0] * 6),
        ([7.0, 9.0] * 3, [7.0, 9.0] * 3),
        ([4095.0, 4096.0] * 3, [4096.0, 4095.0] * 3),
        ([5.0] * 6, [7.0, 9.0] * 3),
        ([7.0, 9.0] * 3, [7.0, 9.0] * 2 + [7.0, 3.0]),
    ],
    ids=[
        "one length",
        "two lengths",
        "two large lengths",
        "the lengths separate the domains",
        "one text determines the result",
    ],
)
def test_without_comparable_lengths_there_is_no_adjustment(
    tokens_a: list[float], tokens_b: list[float], rng: np.random.Generator
) -> None:
    a, b = rng.normal(size=(2, 6, 2))
    found = adjusted(a, np.array(tokens_a), b, np.array(tokens_b), np.ones(2))
    assert all(np.isnan(part).all() for part in found)


@pytest.mark.parametrize("lengths", [[7, 9, 12], range(4_056, 4_096)], ids=["three", "of truncated texts"])
def test_few_or_similar_lengths_are_enough(lengths: Sequence[int], rng: np.random.Generator) -> None:
    """For long texts 1/T and log T are nearly constant, but not collinear with the constant."""
    a, b = rng.normal(size=(2, 12, 2))
    tokens_a, tokens_b = rng.choice(lengths, (2, 12)).astype(float)
    found = adjusted(a, tokens_a, b, tokens_b, np.ones(2))
    assert all(np.isfinite(part).all() for part in found)


@pytest.mark.parametrize("texts", [0, 1, 2])
def test_too_few_texts_are_not_adjusted(texts: int, rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, texts, 2))
    tokens = np.arange(2.0, 2.0 + texts)
    for found in (
        adjusted(a, tokens, b, 3 * tokens, np.ones(2)),
        adjusted_paired(a, tokens, b, 3 * tokens, np.ones(2)),
    ):
        assert all(np.isnan(part).all() for part in found)


def test_pairs_of_equal_lengths_cannot_be_adjusted(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 9, 2))
    tokens = np.arange(3.0, 12.0)
    assert all(np.isnan(part).all() for part in adjusted_paired(a, tokens, b, tokens, np.ones(2)))


def test_a_missing_value_affects_only_its_column(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    whole = adjusted(a, tokens, b, tokens[::-1], np.ones(2))
    a[3, 0] = NAN
    found = adjusted(a, tokens, b, tokens[::-1], np.ones(2))
    assert np.isnan(found.adjusted_p_value[0])
    assert found.adjusted_p_value[1] == whole.adjusted_p_value[1]


def test_a_text_without_values_is_left_out(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    without = adjusted(a[1:], tokens[1:], b, tokens[::-1], np.ones(2))
    without_pair = adjusted_paired(a[1:], tokens[1:], b[1:], tokens[::-1][1:], np.ones(2))
    a[0] = NAN
    np.testing.assert_array_equal(adjusted(a, tokens, b, tokens[::-1], np.ones(2)), without)
    np.testing.assert_array_equal(adjusted_paired(a, tokens, b, tokens[::-1], np.ones(2)), without_pair)


def test_a_domain_without_values_cannot_be_adjusted(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 12, 2))
    tokens = rng.integers(2, 200, 12).astype(float)
    a[:] = NAN
    for one, other in ((a, b), (b, a)):
        for adjust in (adjusted, adjusted_paired):
            found = adjust(one, tokens, other, tokens[::-1], np.ones(2))
            assert all(np.isnan(part).all() for part in found)


@pytest.mark.parametrize(("difference", "has_result"), [(1e-3, True), (1e-6, False)])
def test_nearly_collinear_regressors_have_no_result(
    difference: float, has_result: bool, rng: np.random.Generator
) -> None:
    design, values = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    design[:, 1] = design[:, 0] + difference * design[:, 1]
    assert np.isfinite(robust_coefficient(design, values, np.ones(1)).p_value) == has_result


def test_an_exact_fit_has_no_result(rng: np.random.Generator) -> None:
    tokens = rng.integers(2, 200, 12).astype(float)
    exact = (2 + 3 / tokens)[:, None]
    found = adjusted(exact, tokens, exact[::-1], tokens[::-1], np.ones(1))
    assert all(np.isnan(part).all() for part in found)


def test_missing_p_values_stay_missing() -> None:
    for correct in (holm, benjamini_hochberg):
        assert np.isnan(correct(np.full((2, 3), NAN))).all()


def test_an_interval_needs_spread_and_at_least_eight_values(rng: np.random.Generator) -> None:
    values = rng.normal(size=(8, 5))
    values[0, 1] = NAN
    values[:, 2] = 5.0
    values[:, 4] = 0.0
    values[:, 3] = -5.0 + np.array([0, 1] * 4) * 1e-15
    low, high = bca_interval(values)
    assert np.isfinite(low).tolist() == np.isfinite(high).tolist() == [True, False, False, False, False]
    assert np.isnan(bca_interval(rng.normal(size=(50, 2)))).all()
