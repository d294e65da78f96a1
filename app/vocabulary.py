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

POOLED_DOMAIN = "*"
DEFAULT_DOMAIN = "default"
