"""The confidence interval of a mean over few texts, by resampling them."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats import CONFIDENCE
from layerscope.stats.spread import exceeds_rounding

Array = NDArray[np.float64]

# Below 8 texts no resampled mean reaches as far as an interval must; from 50 on Student's t covers as well.
FEWEST, BEYOND = 8, 50
RESAMPLES = 9_999
_SEED = 5
_RESAMPLES_AT_A_TIME = 100  # for 49 texts of a 28-layer model 70 MB


def bca_interval(values: Array) -> tuple[Array, Array]:
    """95 % interval of the mean by the BCa bootstrap, its level widened for few texts.

    Resampled means vary by (n − 1)/n of what they should, and know no t distribution: plain BCa intervals of
    10 normal values cover the mean in 89 % of samples. The level is therefore widened as for Hesterberg's
    expanded percentile interval, so that for values without skew the interval is about Student's.

    All columns share their resamples, drawn with a fixed seed; no sum is left to BLAS, whose last bits depend
    on its threads. So the same values always give the same bits.

    Args:
        values: (n, ...) a text's values each, nan = absent.
    Returns: low and high, each (...); nan where fewer than FEWEST or at least BEYOND texts have a value, or
        where the texts differ by no more than rounding.
    Source: Efron 1987, by `scipy.stats.bootstrap`; Hesterberg 2015, section 5.3.2.
    """
    columns = values.reshape(len(values), -1)
    bounds = np.full((2, columns.shape[1]), np.nan)
    present = ~np.isnan(columns)
    patterns, pattern_of = np.unique(present, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        alike = np.flatnonzero(pattern_of == number)
        sample = columns[np.ix_(pattern, alike)]
        if FEWEST <= len(sample) < BEYOND:
            varied = exceeds_rounding(sample.std(0, ddof=1), np.abs(sample).max(0))
            bounds[:, alike[varied]] = _bca(sample[:, varied])
    low, high = bounds.reshape(2, *values.shape[1:])
    return low, high


def _bca(sample: Array) -> Array:
    """(2, K) from (n, K) without nan."""
    n = len(sample)

    def mean(chosen: NDArray[np.int64], axis: int) -> Array:
        # (R, n) indices → (R, n, K) → (K, R): whole rows are copied, ten times as fast as column by column
        return np.moveaxis(sample[chosen].mean(axis=-2), -1, 0)

    found = stats.bootstrap(
        (np.arange(n),),
        mean,
        n_resamples=RESAMPLES,
        batch=_RESAMPLES_AT_A_TIME,
        vectorized=True,
        confidence_level=expanded_level(n),
        method="BCa",
        rng=np.random.default_rng(_SEED),
    )
    return np.stack([found.confidence_interval.low, found.confidence_interval.high])


def expanded_level(n: int) -> float:
    """The level at which a bootstrap interval of n values is as wide as Student's at CONFIDENCE."""
    quantile = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    return float(1 - 2 * stats.norm.sf(quantile))
