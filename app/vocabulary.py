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

METRICS_OF_ANALYSIS = {
    "ablation": ("ablation_nll", "ablation_kl"),
    "logit_lens": ("lens_entropy", "lens_kl", "lens_agreement"),
    "activations": (),  # every analysis finds them; this one nothing else
}
ANALYSES = tuple(METRICS_OF_ANALYSIS)
ANALYSIS_METRICS = tuple(metric for metrics in METRICS_OF_ANALYSIS.values() for metric in metrics)
ANALYSIS_STATISTIC_COLUMNS = tuple(metric + suffix for metric in ANALYSIS_METRICS for suffix in STATISTICS)

PEAKS = 4  # of the largest activations leaving a layer
PEAK = ("unit", "value", "token", "ratio", "texts", "first_texts")
PEAK_COLUMNS = tuple(f"{name}_{place}" for place in range(1, PEAKS + 1) for name in PEAK)
SHARES = ("mean_share", "variance_share")

COMPARED = ("metric", "scope", "component", "layer", "domain_a", "domain_b")
COMPARISON_COUNTS = ("texts_a", "texts_b")
COMPARISON_STATISTICS = (
    *("mean_a", "mean_b", "difference", "ci_low", "ci_high"),
    *("hedges_g", "g_ci_low", "g_ci_high", "p_value", "p_holm", "q_value"),
    *("adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "adjusted_p_value"),
)

POOLED_DOMAIN = "*"
DEFAULT_DOMAIN = "default"
