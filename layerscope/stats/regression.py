"""Least squares with heteroscedasticity-consistent errors, for many columns with one design matrix."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from layerscope.arrays import Array
from layerscope.stats import CONFIDENCE
from layerscope.stats.spread import exceeds_rounding

_WORST_CONDITION = 1e10  # of the Gram matrix: above it, as with n < k, the regressors are collinear
_HIGHEST_LEVERAGE = 1 - 1e-9  # above it one text determines a coefficient and has no residual, as with n = k


@dataclass(frozen=True)
class Coefficient:
    """Each (K,) float64, nan = no value; interval and p by Student's t with n − k degrees of freedom."""

    estimate: Array
    ci_low: Array
    ci_high: Array
    p_value: Array


def robust_coefficient(design: Array, values: Array, size: Array) -> Coefficient:
    """The coefficient of the last regressor for each column, with HC3 errors.

    The result is that of `OLS(y, X).fit(cov_type="HC3", use_t=True)` of statsmodels for each column, but the
    computations with the design matrix are done only once: with aᵢ = (X'X)⁻¹xᵢ and hᵢ = xᵢ'aᵢ the variance of
    the coefficient is Σ (aᵢₖ eᵢ / (1 − hᵢ))². A job with 16 domains has 200,000 such regressions, and one fit
    in statsmodels takes at least half a millisecond. Sums use einsum instead of BLAS, whose last bits depend
    on the number of threads.

    Args:
        design: (n, k).
        values: (n, K); a column with a nan has no result.
        size: (K,) the size to which rounding is relative; see `exceeds_rounding`.
    Returns: nan for all columns if n ≤ k, if the regressors are collinear, or if one text determines a
        coefficient alone; nan for columns whose residuals are only rounding.
    Source: MacKinnon and White 1985; Long and Ervin 2000, who recommend HC3 and t for few observations.
    """
    n, k = design.shape
    scale = np.sqrt(np.square(design).sum(0))
    if not scale.all():
        return _no_result(values.shape[1])
    regressors = design / scale
    gram = np.einsum("ni,nj->ij", regressors, regressors)
    if np.linalg.cond(gram) > _WORST_CONDITION:
        return _no_result(values.shape[1])
    projected = np.einsum("ni,ij->nj", regressors, np.linalg.inv(gram))  # (n, k): aᵢ
    leverage = (projected * regressors).sum(1)  # (n,)
    if leverage.max() > _HIGHEST_LEVERAGE:
        return _no_result(values.shape[1])
    fitted = np.einsum("ni,nc->ic", projected, values)  # (k, K)
    residuals = np.einsum("ni,ic->nc", regressors, fitted)
    squares = np.square(np.subtract(values, residuals, out=residuals), out=residuals)
    error = np.sqrt(np.einsum("n,nc->c", np.square(projected[:, -1] / (1 - leverage)), squares))
    reliable = exceeds_rounding(np.sqrt(squares.mean(0)), size)
    return _coefficient(fitted[-1] / scale[-1], np.where(reliable, error / scale[-1], np.nan), n - k)


def _coefficient(estimate: Array, error: Array, df: int) -> Coefficient:
    half = stats.t.ppf((1 + CONFIDENCE) / 2, df) * error
    p_value = 2 * stats.t.sf(np.abs(estimate) / error, df)
    estimate = np.where(np.isnan(error), np.nan, estimate)
    return Coefficient(estimate, estimate - half, estimate + half, p_value)


def _no_result(columns: int) -> Coefficient:
    return Coefficient(*np.full((4, columns), np.nan))
