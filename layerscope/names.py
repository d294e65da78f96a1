"""The names of the measurement and the service, each defined once, and the columns derived from them.

The order of the members of an enum is the order in files and arrays.
"""

import re
from collections.abc import Iterable
from enum import StrEnum


class Component(StrEnum):
    """The part of a layer whose addition to the residual stream is measured."""

    BLOCK = "block"
    ATTENTION = "attention"
    MLP = "mlp"


class Scope(StrEnum):
    """The tokens over which a metric is averaged."""

    ALL = "all"
    REST = "rest"
    FIRST = "first"
    TYPICAL = "typical"


class Metric(StrEnum):
    """The numbers that are measured for each text, layer, component and scope; formulas: docs/metrics.md."""

    DELTA_MEAN = "delta_mean"
    DELTA_ABS_MEAN = "delta_abs_mean"
    DELTA_RMS = "delta_rms"
    RELATIVE_NORM = "relative_norm"
    COSINE = "cosine"
    BLOCK_INFLUENCE = "block_influence"
    RESIDUAL_RMS = "residual_rms"


class Analysis(StrEnum):
    """An additional measurement on a sample of the texts of a job."""

    ABLATION = "ablation"
    LOGIT_LENS = "logit_lens"
    ACTIVATIONS = "activations"
    TOKENS = "tokens"


class AnalysisMetric(StrEnum):
    """The numbers that the analyses measure for each analysed text and layer."""

    ABLATION_NLL = "ablation_nll"
    ABLATION_KL = "ablation_kl"
    LENS_ENTROPY = "lens_entropy"
    LENS_KL = "lens_kl"
    LENS_AGREEMENT = "lens_agreement"


class Outcome(StrEnum):
    """The final status of a job."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Status(StrEnum):
    """The state of a job; the last three are the outcomes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """What happens to an unfinished job at the moment, in the order of its life."""

    WAITING = "waiting"  # for a worker
    LOADING = "loading"  # its model, or the language model head
    TOKENIZING = "tokenizing"
    MEASURING = "measuring"
    ANALYSING = "analysing"
    COMMITTING = "committing"
    FINALIZING = "finalizing"


class TextOutcome(StrEnum):
    """The state of a text in its job."""

    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"


class Overflow(StrEnum):
    """What happens to a text with more than `max_tokens` tokens."""

    TRUNCATE = "truncate"
    FAIL = "fail"


class TextForm(StrEnum):
    """The forms in which a text is given."""

    TEXT = "text"
    TOKEN_IDS = "token_ids"
    MESSAGES = "messages"


class SpecialTokens(StrEnum):
    """What a special token is that a text spells, such as `<s>`."""

    LITERAL = "literal"  # these characters
    PARSE = "parse"  # the special token


class OnInvalid(StrEnum):
    """What happens if the text of a line of a stream is invalid."""

    REFUSE = "refuse"
    FAIL = "fail"


class DType(StrEnum):
    """The number formats in which a model can be loaded."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class MatrixProduct(StrEnum):
    """The matrix products with which a CPU can run a model."""

    DEFAULT = "default"  # PyTorch's own
    ONEDNN = "onednn"  # oneDNN's, with reordered weights


def _values(names: Iterable[StrEnum]) -> tuple[str, ...]:
    return tuple(name.value for name in names)


COMPONENTS = _values(Component)
SCOPES = _values(Scope)
METRICS = _values(Metric)
ANALYSES = _values(Analysis)
ANALYSIS_METRICS = _values(AnalysisMetric)
OUTCOMES = _values(Outcome)
STATUSES = _values(Status)
TEXT_OUTCOMES = _values(TextOutcome)
MATRIX_PRODUCTS = _values(MatrixProduct)
TEXT_FORMS = _values(TextForm)

# Suffixes of the statistics of a metric over texts: mean, sample variance, its root, interval of the mean.
STATISTICS = ("", "_var", "_std", "_ci_low", "_ci_high")
MEAN_AND_INTERVAL = ("", "_ci_low", "_ci_high")  # those of them that charts and sentences show
STATISTIC_COLUMNS = tuple(metric + suffix for metric in METRICS for suffix in STATISTICS)

RANKED_METRICS = _values((Metric.DELTA_ABS_MEAN, Metric.RELATIVE_NORM))  # the absolute and the relative size
RANKS = ("_rank", "_rank_ci_low", "_rank_ci_high")
RANK_COLUMNS = tuple(metric + suffix for metric in RANKED_METRICS for suffix in RANKS)

METRICS_OF_ANALYSIS: dict[str, tuple[str, ...]] = {
    Analysis.ABLATION: _values((AnalysisMetric.ABLATION_NLL, AnalysisMetric.ABLATION_KL)),
    Analysis.LOGIT_LENS: _values(
        (AnalysisMetric.LENS_ENTROPY, AnalysisMetric.LENS_KL, AnalysisMetric.LENS_AGREEMENT)
    ),
    Analysis.ACTIVATIONS: (),  # every analysis finds the largest activations; this one measures nothing else
    Analysis.TOKENS: (),  # its numbers are those of tokens, not of texts
}
# These use the next-token predictions of the model, so they need its language model head.
PREDICTION_ANALYSES = _values((Analysis.ABLATION, Analysis.LOGIT_LENS))
ANALYSIS_PLACE = (Scope.ALL.value, Component.BLOCK.value)  # the rows in which the analyses have values
ANALYSIS_STATISTIC_COLUMNS = tuple(metric + suffix for metric in ANALYSIS_METRICS for suffix in STATISTICS)

TOP_ACTIVATIONS = 4  # the number of largest activations that are stored for each layer
TOP_ACTIVATION_FIELDS = ("unit", "value", "token", "ratio", "texts", "first_texts")
TOP_ACTIVATION_COLUMNS = tuple(
    f"{name}_{place}" for place in range(1, TOP_ACTIVATIONS + 1) for name in TOP_ACTIVATION_FIELDS
)
SHARES = ("mean_share", "variance_share")
SCOPES_BEFORE_TYPICAL = _values((Scope.ALL, Scope.REST, Scope.FIRST))  # of jobs of earlier versions
MASSIVE_COLUMN = "massive_tokens"  # of the texts files
MASSIVE_TOKENS_KEY = ("domain", "layer")
MASSIVE_TOKENS_COLUMNS = (
    *MASSIVE_TOKENS_KEY,
    *("texts", "tokens", "massive", "massive_first", "massive_share", "norm_share"),
)
MASSIVE_STRINGS = 20  # the number of strings of massive tokens that are stored for each domain

RESULTS_KEY = ("domain", "scope", "component", "layer")
RESULTS_COLUMNS = (*RESULTS_KEY, "texts", "tokens", *STATISTIC_COLUMNS)
TEXTS_COLUMNS = (
    *("ordinal", "domain", "tokens", "truncated", "error"),
    *("scope", "component", "layer", *METRICS),
)
TOKEN_METRICS = _values((Metric.DELTA_RMS, Metric.RELATIVE_NORM, Metric.COSINE, Metric.RESIDUAL_RMS))
TOKENS_COLUMNS = (
    *("ordinal", "domain", "position", "token_id", "token", "massive", "component", "layer"),
    *TOKEN_METRICS,
)
LENS_COLUMNS = ("lens_rank", "lens_top1")  # of the tokens files, if the logit lens was requested too
SPECIAL_TOKENS_COLUMN = "special_tokens_added"  # the last column of the texts files
TRANSITIONS_COLUMNS = ("domain", "layer", "mean_delta", "var_delta", "abs_mean_delta", "var_abs_delta")

FIRST_TOKEN_KEY = ("domain", "component", "layer")
LARGEST_Q = 0.05  # below it a difference is significant: the expected share of false findings
COMPARISON_KEY = ("metric", "scope", "component", "layer", "domain_a", "domain_b")
COMPARISON_COUNTS = ("texts_a", "texts_b")
COMPARISON_STATISTICS = (
    *("mean_a", "mean_b", "difference", "ci_low", "ci_high"),
    *("hedges_g", "g_ci_low", "g_ci_high", "p_value", "p_holm", "q_value"),
    *("adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "adjusted_p_value"),
)
COMPARISON_COLUMNS = (*COMPARISON_KEY, *COMPARISON_COUNTS, *COMPARISON_STATISTICS)

POOLED_DOMAIN = "*"
DEFAULT_DOMAIN = "default"

NAME_PATTERN = r"[A-Za-z0-9._-]{1,64}"  # of domains and models
NAME = re.compile(NAME_PATTERN)
NAME_RULE = "at most 64 characters from A-Z a-z 0-9 . _ -"


def metrics_of(analyses: Iterable[str]) -> tuple[str, ...]:
    """The metrics that these analyses add for each analysed text and layer."""
    return tuple(metric for analysis in analyses for metric in METRICS_OF_ANALYSIS[analysis])


def analysis_columns(analyses: Iterable[str]) -> tuple[str, ...]:
    """The columns that these analyses add to results.csv."""
    columns = tuple(metric + suffix for metric in metrics_of(analyses) for suffix in STATISTICS)
    return ("analysis_texts", *columns) if columns else ()
