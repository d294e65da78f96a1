"""The words of the measurement, in the order in which files and arrays hold them.

`worker.core` may not import `app`, nor `app` the worker: it has its own copy, and a test holds
the two against each other.
"""

COMPONENTS = ("block", "attention", "mlp")
SCOPES = ("all", "rest", "first")
METRICS = (
    "delta_mean",
    "delta_abs_mean",
    "delta_rms",
    "relative_norm",
    "cosine",
    "block_influence",
    "residual_rms",
)
STATISTICS = ("", "_var", "_std", "_ci_low", "_ci_high")
STATISTIC_COLUMNS = tuple(metric + suffix for metric in METRICS for suffix in STATISTICS)

RANKED_METRICS = ("delta_abs_mean", "relative_norm")  # a layer's size by itself, and against what enters it
RANKS = ("_rank", "_rank_ci_low", "_rank_ci_high")
RANK_COLUMNS = tuple(metric + suffix for metric in RANKED_METRICS for suffix in RANKS)

COMPARED = ("metric", "scope", "component", "layer", "domain_a", "domain_b")
COMPARISON_COUNTS = ("texts_a", "texts_b")
COMPARISON_STATISTICS = (
    *("mean_a", "mean_b", "difference", "ci_low", "ci_high"),
    *("hedges_g", "g_ci_low", "g_ci_high", "p_value", "p_holm", "q_value"),
    *("adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "adjusted_p_value"),
)

POOLED_DOMAIN = "*"
DEFAULT_DOMAIN = "default"
