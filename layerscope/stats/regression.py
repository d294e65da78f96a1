"""Least squares with errors that may differ from text to text, for many columns on one design."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerscope.stats import CONFIDENCE
from layerscope.stats.spread import exceeds_rounding

Array = NDArray[np.float64]

_WORST_CONDITION = 1e10  # of the Gram matrix: beyond it, as with n < k, the regressors can't be told apart
_HIGHEST_LEVERAGE = 1 - 1e-9  # a text that alone decides, as each of n = k, leaves no residual to judge it by


@dataclass(frozen=True)
class Coefficient:
    """Each (K,) float64, nan = no value; interval and p by Student's t with n − k degrees of freedom."""

    estimate: Array
    ci_low: Array
    ci_high: Array
    p_value: Array


def robust_coefficient(design: Array, values: Array, size: Array) -> Coefficient:
    """The last regressor's coefficient in each column's regression, with HC3 errors.

    statsmodels' `OLS(y, X).fit(cov_type="HC3", use_t=True)` for each column, but the design's part is done
    once: with aᵢ = (X'X)⁻¹xᵢ and hᵢ = xᵢ'aᵢ the coefficient's variance is Σ (aᵢₖ eᵢ / (1 − hᵢ))². A job of
    16 domains has 200,000 such regressions, and a fit in statsmodels takes half a millisecond and more.
    Sums are left to einsum, not to BLAS, whose last bits depend on its threads.

    Args:
        design: (n, k).
        values: (n, K); a column with a nan has no value.
        size: (K,) what rounding is relative to (`exceeds_rounding`).
    Returns: nothing but nan where n ≤ k, the regressors can't be told apart, or one text decides alone; nan
        in columns whose residuals are mere rounding.
    Source: MacKinnon and White 1985; Long and Ervin 2000, who recommend HC3 and t for few observations.
    """
    n, k = design.shape
    scale = np.sqrt(np.square(design).sum(0))
    if not scale.all():
        return _nothing(values.shape[1])
    regressors = design / scale
    gram = np.einsum("ni,nj->ij", regressors, regressors)
    if np.linalg.cond(gram) > _WORST_CONDITION:
        return _nothing(values.shape[1])
    projected = np.einsum("ni,ij->nj", regressors, np.linalg.inv(gram))  # (n, k): aᵢ
    leverage = (projected * regressors).sum(1)  # (n,)
    if leverage.max() > _HIGHEST_LEVERAGE:
        return _nothing(values.shape[1])
    fitted = np.einsum("ni,nc->ic", projected, values)  # (k, K)
    residuals = values - np.einsum("ni,ic->nc", regressors, fitted)
    error = np.sqrt(np.einsum("n,nc->c", np.square(projected[:, -1] / (1 - leverage)), np.square(residuals)))
    heard = exceeds_rounding(np.sqrt(np.square(residuals).mean(0)), size)
    return _judged(fitted[-1] / scale[-1], np.where(heard, error / scale[-1], np.nan), n - k)


def _judged(estimate: Array, error: Array, freedom: int) -> Coefficient:
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error
    p_value = 2 * stats.t.sf(np.abs(estimate) / error, freedom)
    estimate = np.where(np.isnan(error), np.nan, estimate)
    return Coefficient(estimate, estimate - half, estimate + half, p_value)


def _nothing(columns: int) -> Coefficient:
    return Coefficient(*np.full((4, columns), np.nan))
