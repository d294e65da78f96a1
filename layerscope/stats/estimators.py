"""The description of every estimator, for the provenance of the files."""

from layerscope.stats import CONFIDENCE, bootstrap, ranks, spread

LEVEL = f"{100 * CONFIDENCE:g} %"

ESTIMATORS = {
    "mean": "arithmetic mean over texts",
    "variance": "sample variance over texts, ddof = 1",
    "mean_ci": (
        f"{LEVEL}, of a domain of {bootstrap.FEWEST} to {bootstrap.BEYOND - 1} measured texts: "
        f"BCa bootstrap over texts, {bootstrap.RESAMPLES} resamples, fixed seed, "
        "level expanded after Hesterberg 2015; of fewer or more: Student's t"
    ),
    "rank": "1 is the layer with the largest mean",
    "rank_ci": (
        f"{LEVEL} percentile bootstrap, {ranks.RESAMPLES} resamples, fixed seed, "
        f"texts resampled with all their layers (in {ranks.GROUPS} groups where there are more)"
    ),
    "cv": "standard deviation over texts / |mean|",
    "difference": (
        f"mean of a − mean of b; Welch's t (paired: Student's paired t), {LEVEL} interval, two-sided p"
    ),
    "hedges_g": (
        f"pooled deviation, small-sample correction, {LEVEL} large-sample interval after Borenstein et al. "
        "2009 (paired: average deviation, interval after Bonett 2015)"
    ),
    "p_holm": "Holm 1979, over the layers and pairs of one metric, scope and component",
    "q_value": "Benjamini and Hochberg 1995, over the same",
    "adjusted_difference": (
        "least squares on domain, 1/T and log T with HC3 errors and Student's t (paired: on the partners' "
        "differences of 1/T and log T)"
    ),
    "no_test": f"where the deviation over texts is at most {spread.ROUNDING:g} of the values' size: rounding",
}
