"""Comparisons agree with scipy and statsmodels, one column at a time, and obey their invariants."""

from typing import NamedTuple

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from layerscope.stats.length_adjustment import adjusted, adjusted_paired
from layerscope.stats.multiple_testing import benjamini_hochberg, holm
from layerscope.stats.spread import exceeds_rounding
from layerscope.stats.two_sample import Sample, paired, sample_of, welch

Array = NDArray[np.float64]
COLUMNS = 3
ONE = np.ones(COLUMNS)


class Domains(NamedTuple):
    a: Array  # (n, COLUMNS)
    tokens_a: Array
    b: Array
    tokens_b: Array


def two_domains(seed: int, n: int, m: int, missing: float = 0.0) -> Domains:
    """Skewed values that depend on the length of the text, with different spreads."""
    rng = np.random.default_rng(seed)
    tokens_a, tokens_b = (rng.integers(2, high, size).astype(float) for high, size in ((90, n), (400, m)))
    a = rng.lognormal(0, 0.4, (n, COLUMNS)) + 3 / tokens_a[:, None]
    b = rng.lognormal(0.2, 0.8, (m, COLUMNS)) + 3 / tokens_b[:, None]
    a[rng.random(a.shape) < missing] = np.nan
    b[rng.random(b.shape) < missing] = np.nan
    return Domains(a, tokens_a, b, tokens_b)


domains = st.builds(two_domains, st.integers(0, 2**32), st.integers(2, 40), st.integers(2, 40))
many_texts = st.builds(two_domains, st.integers(0, 2**32), st.integers(12, 40), st.integers(12, 40))
with_gaps = st.builds(
    two_domains, st.integers(0, 2**32), st.integers(6, 40), st.integers(6, 40), st.just(0.2)
)


def without_missing(column: Array) -> Array:
    present: Array = column[~np.isnan(column)]
    return present


@given(with_gaps)
def test_welch_agrees_with_scipy_and_missing_values_do_not_count(domains: Domains) -> None:
    found = welch(sample_of(domains.a), sample_of(domains.b), ONE)
    for k in range(COLUMNS):
        a, b = without_missing(domains.a[:, k]), without_missing(domains.b[:, k])
        if min(len(a), len(b)) < 2:
            assert np.isnan(found.p_value[k])
            continue
        expected = stats.ttest_ind(a, b, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert (found.texts_a[k], found.texts_b[k]) == (len(a), len(b))
        np.testing.assert_allclose((found.mean_a[k], found.mean_b[k]), (a.mean(), b.mean()), rtol=1e-12)
        np.testing.assert_allclose(found.difference[k], a.mean() - b.mean(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.p_value[k], expected.pvalue, rtol=1e-8)
        np.testing.assert_allclose(
            (found.ci_low[k], found.ci_high[k]), (interval.low, interval.high), rtol=1e-8, atol=1e-12
        )


@given(domains)
def test_g_is_the_difference_divided_by_the_pooled_deviation(domains: Domains) -> None:
    found = welch(sample_of(domains.a), sample_of(domains.b), ONE)
    n, m = len(domains.a), len(domains.b)
    pooled = np.sqrt(((n - 1) * domains.a.var(0, ddof=1) + (m - 1) * domains.b.var(0, ddof=1)) / (n + m - 2))
    g = (domains.a.mean(0) - domains.b.mean(0)) / pooled * (1 - 3 / (4 * (n + m) - 9))
    half = stats.norm.ppf(0.975) * np.sqrt(1 / n + 1 / m + g**2 / (2 * (n + m - 3.94)))
    np.testing.assert_allclose(found.hedges_g, g, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.g_ci_low, g - half, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.g_ci_high, g + half, rtol=1e-9, atol=1e-12)


@given(with_gaps)
def test_the_paired_test_agrees_with_scipy_and_incomplete_pairs_do_not_count(domains: Domains) -> None:
    n = min(len(domains.a), len(domains.b))
    found = paired(domains.a[:n], domains.b[:n], ONE)
    for k in range(COLUMNS):
        both = ~np.isnan(domains.a[:n, k] + domains.b[:n, k])
        a, b = domains.a[:n, k][both], domains.b[:n, k][both]
        assert found.texts_a[k] == found.texts_b[k] == len(a)
        if len(a) < 2 or not exceeds_rounding(np.std(a - b, ddof=1, keepdims=True), ONE[k]):
            assert np.isnan(found.p_value[k])
            continue
        expected = stats.ttest_rel(a, b)
        interval = expected.confidence_interval(0.95)
        np.testing.assert_allclose(found.p_value[k], expected.pvalue, rtol=1e-8)
        np.testing.assert_allclose(
            (found.ci_low[k], found.ci_high[k]), (interval.low, interval.high), rtol=1e-8, atol=1e-12
        )


@given(domains)
def test_the_paired_g_is_the_difference_divided_by_the_average_deviation(domains: Domains) -> None:
    n = min(len(domains.a), len(domains.b))
    a, b = domains.a[:n], domains.b[:n]
    found = paired(a, b, ONE)
    var_a, var_b, var_difference = (values.var(0, ddof=1) for values in (a, b, a - b))
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).sum(0) / (n - 1)
    average = (var_a + var_b) / 2
    d, correction = (a - b).mean(0) / np.sqrt(average), 1 - 3 / (4 * (n - 1) - 1)
    bonett = d**2 * (var_a**2 + var_b**2 + 2 * covariance**2) / (8 * (n - 1) * average**2)
    half = stats.norm.ppf(0.975) * np.sqrt(bonett + var_difference / ((n - 1) * average))
    np.testing.assert_allclose(found.hedges_g, correction * d, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.g_ci_low, correction * (d - half), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.g_ci_high, correction * (d + half), rtol=1e-9, atol=1e-12)


@given(many_texts)
def test_the_adjusted_difference_agrees_with_statsmodels(domains: Domains) -> None:
    found = adjusted(*domains, ONE)
    tokens = np.concatenate([domains.tokens_a, domains.tokens_b])
    in_a = np.repeat([1.0, 0.0], [len(domains.a), len(domains.b)])
    design = np.stack([np.ones(len(tokens)), 1 / tokens, np.log(tokens), in_a], 1)
    for k in range(COLUMNS):
        values = np.concatenate([domains.a[:, k], domains.b[:, k]])
        assert_is_fit(found, k, sm.OLS(values, design).fit(cov_type="HC3", use_t=True), 3)


@given(many_texts)
def test_the_adjusted_paired_difference_agrees_with_statsmodels(domains: Domains) -> None:
    n = min(len(domains.a), len(domains.b))
    a, tokens_a, b, tokens_b = (part[:n] for part in domains)
    found = adjusted_paired(a, tokens_a, b, tokens_b, ONE)
    design = np.stack([np.ones(n), 1 / tokens_a - 1 / tokens_b, np.log(tokens_a / tokens_b)], 1)
    for k in range(COLUMNS):
        assert_is_fit(found, k, sm.OLS(a[:, k] - b[:, k], design).fit(cov_type="HC3", use_t=True), 0)


def assert_is_fit(found: tuple[Array, ...], column: int, fit: sm.regression.linear_model, at: int) -> None:
    expected = (fit.params[at], *fit.conf_int()[at], fit.pvalues[at])
    np.testing.assert_allclose([part[column] for part in found], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("no_garbage")
@given(st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=1, max_size=40))
def test_corrections_agree_with_their_definitions(p_values: list[float]) -> None:
    p = np.array(p_values)
    tested = np.sort(p[~np.isnan(p)])
    count = len(tested)
    for value, by_holm, q in zip(p, holm(p), benjamini_hochberg(p), strict=True):
        if np.isnan(value):
            assert np.isnan(by_holm)
            assert np.isnan(q)
            continue
        smaller = int((tested <= value).sum())
        stepped_down = [min(1.0, (count - i) * tested[i]) for i in range(smaller)]
        stepped_up = [min(1.0, tested[i] * count / (i + 1)) for i in range(smaller - 1, count)]
        np.testing.assert_allclose((by_holm, q), (max(stepped_down), min(stepped_up)), rtol=1e-12)
    if count:
        statsmodels = multipletests(p[~np.isnan(p)], method="holm")[1]
        np.testing.assert_allclose(holm(p)[~np.isnan(p)], statsmodels, rtol=1e-12)
        np.testing.assert_allclose(
            benjamini_hochberg(p)[~np.isnan(p)], stats.false_discovery_control(p[~np.isnan(p)]), rtol=1e-12
        )


@given(many_texts, st.integers(0, 2**32))
def test_the_order_of_texts_does_not_matter(domains: Domains, seed: int) -> None:
    rng = np.random.default_rng(seed)
    i, j = rng.permutation(len(domains.a)), rng.permutation(len(domains.b))
    mixed = Domains(domains.a[i], domains.tokens_a[i], domains.b[j], domains.tokens_b[j])
    for before, after in zip(all_statistics(domains), all_statistics(mixed), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)


@given(many_texts)
def test_exchanging_the_domains_changes_only_the_sign(domains: Domains) -> None:
    one = welch(sample_of(domains.a), sample_of(domains.b), ONE)
    other = welch(sample_of(domains.b), sample_of(domains.a), ONE)
    np.testing.assert_allclose(other.p_value, one.p_value, rtol=1e-12)
    np.testing.assert_allclose(
        (other.difference, other.ci_low, other.ci_high),
        (-one.difference, -one.ci_high, -one.ci_low),
    )
    np.testing.assert_allclose(
        (other.hedges_g, other.g_ci_low, other.g_ci_high),
        (-one.hedges_g, -one.g_ci_high, -one.g_ci_low),
    )
    first, second = adjusted(*domains, ONE), adjusted(domains.b, domains.tokens_b, *domains[:2], ONE)
    np.testing.assert_allclose(second.adjusted_difference, -first.adjusted_difference, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(second.adjusted_p_value, first.adjusted_p_value, rtol=1e-6, atol=1e-9)


@given(many_texts, st.sampled_from([1e-6, 0.25, 3.0, 1e6]))
def test_scaling_changes_only_what_has_a_unit(domains: Domains, unit: float) -> None:
    found = welch(sample_of(domains.a), sample_of(domains.b), ONE)
    scaled = welch(sample_of(domains.a * unit), sample_of(domains.b * unit), ONE * unit)
    for name in ("hedges_g", "g_ci_low", "g_ci_high", "p_value"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(found, name), rtol=1e-6)
    for name in ("difference", "ci_low", "ci_high"):
        np.testing.assert_allclose(
            getattr(scaled, name), unit * getattr(found, name), rtol=1e-6, atol=1e-9 * unit
        )
    one = adjusted(*domains, ONE)
    other = adjusted(domains.a * unit, domains.tokens_a, domains.b * unit, domains.tokens_b, ONE * unit)
    np.testing.assert_allclose(
        other.adjusted_difference, unit * one.adjusted_difference, rtol=1e-6, atol=1e-9 * unit
    )
    np.testing.assert_allclose(other.adjusted_p_value, one.adjusted_p_value, rtol=1e-6, atol=1e-9)


@given(many_texts, st.floats(-2, 2), st.floats(-2, 2))
def test_an_effect_of_length_is_removed(domains: Domains, slope: float, logarithmic: float) -> None:
    def longer(values: Array, tokens: Array) -> Array:
        return values + (slope / tokens + logarithmic * np.log(tokens))[:, None]

    with_length = Domains(
        longer(domains.a, domains.tokens_a),
        domains.tokens_a,
        longer(domains.b, domains.tokens_b),
        domains.tokens_b,
    )
    for before, after in zip(adjusted(*domains, ONE), adjusted(*with_length, ONE), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-8)


@given(domains)
def test_a_sample_agrees_with_numpy(domains: Domains) -> None:
    sample = sample_of(domains.a)
    np.testing.assert_allclose(sample.mean, domains.a.mean(0), rtol=1e-12)
    np.testing.assert_allclose(sample.var, domains.a.var(0, ddof=1), rtol=1e-12)
    assert isinstance(sample, Sample)


def all_statistics(domains: Domains) -> tuple[Array, ...]:
    return (*welch(sample_of(domains.a), sample_of(domains.b), ONE), *adjusted(*domains, ONE))
