"""The comparison of two domains: difference of means, effect size, confidence intervals and p-values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd

from layerscope.arrays import Array
from layerscope.stats import CONFIDENCE
from layerscope.stats.spread import exceeds_rounding

_NORMAL = stats.norm.ppf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Sample:
    """Texts of a domain: number with a value, mean, sample variance (nan below 2). One shape, float64."""

    texts: Array
    mean: Array
    var: Array


class Difference(NamedTuple):
    """a − b, in the order of the columns of comparison.csv; all of one shape, float64, nan = no value."""

    texts_a: Array
    texts_b: Array
    mean_a: Array
    mean_b: Array
    difference: Array
    ci_low: Array
    ci_high: Array
    hedges_g: Array
    g_ci_low: Array
    g_ci_high: Array
    p_value: Array


@np.errstate(divide="ignore", invalid="ignore")
def welch(a: Sample, b: Sample, size: Array) -> Difference:
    """Welch's t-test with its interval, and Hedges' g with a large-sample interval.

    Args:
        size: the size to which rounding is relative (`exceeds_rounding`), broadcast to the samples' shape.
    Returns: the difference if both domains have a mean; everything else is nan if a domain has fewer than two
        texts, or if the texts differ only by rounding.
    Source: Welch 1947, p by `scipy.stats.ttest_ind_from_stats`; g by `effectsize_smd` of statsmodels (Hedges
        1981; variance as in Borenstein et al. 2009), which standardises by the pooled standard deviation.
    """
    tested = exceeds_rounding(np.sqrt(np.maximum(a.var, b.var)), size)
    std_a, std_b = (np.sqrt(np.where(tested, sample.var, np.nan)) for sample in (a, b))
    n_a, n_b = a.texts.astype(np.int64), b.texts.astype(np.int64)
    p_value = stats.ttest_ind_from_stats(a.mean, std_a, n_a, b.mean, std_b, n_b, equal_var=False).pvalue
    error_a, error_b = np.square(std_a) / a.texts, np.square(std_b) / b.texts
    df = np.square(error_a + error_b) / (
        np.square(error_a) / (a.texts - 1) + np.square(error_b) / (b.texts - 1)
    )
    half = stats.t.ppf((1 + CONFIDENCE) / 2, df) * np.sqrt(error_a + error_b)
    g, variance = effectsize_smd(a.mean, std_a, a.texts, b.mean, std_b, b.texts)
    return _difference(a, b, half, g, np.sqrt(variance), np.asarray(p_value))


@np.errstate(divide="ignore", invalid="ignore")
def paired(a: Array, b: Array, size: Array) -> Difference:
    """The paired t-test over pairs of texts, and Hedges' g on the same scale as that of `welch`.

    g is the mean difference divided by the root of the mean of the two variances (Cohen's d_av), with Hedges'
    correction for n − 1 degrees of freedom.

    Args:
        a, b: (n, ...) the k-th texts of both are a pair; nan = no value, and then the pair does not count.
        size: as in `welch`.
    Source: p by `scipy.stats.ttest_rel`; g's variance: Bonett 2015, equation 3.
    """
    absent = np.isnan(a) | np.isnan(b)
    a, b = np.where(absent, np.nan, a), np.where(absent, np.nan, b)
    left, right, differences = sample_of(a), sample_of(b), sample_of(a - b)
    tested = exceeds_rounding(np.sqrt(differences.var), size)
    df = np.where(tested, differences.texts - 1, np.nan)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, df) * np.sqrt(differences.var / differences.texts)
    mean_variance = (left.var + right.var) / 2
    d = differences.mean / np.sqrt(mean_variance)
    covariance = mean_variance - differences.var / 2
    spread = np.square(left.var) + np.square(right.var) + 2 * np.square(covariance)
    variance = np.square(d) * spread / (8 * df * np.square(mean_variance)) + differences.var / (
        df * mean_variance
    )
    correction = 1 - 3 / (4 * df - 1)
    p_value = np.full(tested.shape, np.nan)
    p_value[tested] = stats.ttest_rel(a[:, tested], b[:, tested], nan_policy="omit").pvalue
    return _difference(left, right, half, correction * d, correction * np.sqrt(variance), p_value)


def sample_of(values: Array) -> Sample:
    """Count, mean and sample variance over the first axis; nan = no value."""
    present = ~np.isnan(values)
    texts = present.sum(0).astype(np.float64)
    mean = np.where(present, values, 0.0).sum(0) / np.where(texts > 0, texts, np.nan)
    squares = np.square(np.where(present, values - mean, 0.0)).sum(0)
    return Sample(texts, mean, squares / np.where(texts > 1, texts - 1, np.nan))


def _difference(a: Sample, b: Sample, half: Array, g: Array, g_error: Array, p_value: Array) -> Difference:
    difference = a.mean - b.mean
    margin = _NORMAL * g_error
    return Difference(
        *(a.texts, b.texts, a.mean, b.mean),
        *(difference, difference - half, difference + half),
        *(g, g - margin, g + margin),
        p_value,
    )
