"""The names and their order, written out: stored bytes and files depend on them."""

import re
from enum import StrEnum

import pytest

from layerscope import names
from layerscope.names import ANALYSES, METRICS, NAME, analysis_columns, metrics_of

FROZEN = {
    names.Component: ["block", "attention", "mlp"],
    names.Scope: ["all", "rest", "first", "typical"],
    names.Metric: [
        "delta_mean",
        "delta_abs_mean",
        "delta_rms",
        "relative_norm",
        "cosine",
        "block_influence",
        "residual_rms",
    ],
    names.Analysis: ["ablation", "logit_lens", "activations", "tokens"],
    names.AnalysisMetric: ["ablation_nll", "ablation_kl", "lens_entropy", "lens_kl", "lens_agreement"],
    names.Outcome: ["succeeded", "failed", "cancelled"],
    names.Status: ["queued", "running", "succeeded", "failed", "cancelled"],
    names.TextOutcome: ["done", "failed", "waiting"],
    names.Overflow: ["truncate", "fail"],
    names.TextForm: ["text", "token_ids", "messages"],
    names.SpecialTokens: ["literal", "parse"],
    names.OnInvalid: ["refuse", "fail"],
    names.Phase: ["waiting", "loading", "tokenizing", "measuring", "analysing", "committing", "finalizing"],
    names.DType: ["float32", "bfloat16", "float16"],
    names.MatrixProduct: ["default", "onednn"],
}


@pytest.mark.parametrize("enum", FROZEN, ids=lambda enum: enum.__name__)
def test_the_order_of_an_enum_does_not_change(enum: type[StrEnum]) -> None:
    assert [member.value for member in enum] == FROZEN[enum]


def test_every_enum_is_frozen_here() -> None:
    enums = {value for value in vars(names).values() if isinstance(value, type)}
    assert {enum for enum in enums if issubclass(enum, StrEnum)} - {StrEnum} == set(FROZEN)


def test_the_tuples_have_the_values_of_the_enums() -> None:
    tuples = {
        names.COMPONENTS: names.Component,
        names.SCOPES: names.Scope,
        names.METRICS: names.Metric,
        names.ANALYSES: names.Analysis,
        names.ANALYSIS_METRICS: names.AnalysisMetric,
        names.OUTCOMES: names.Outcome,
        names.STATUSES: names.Status,
        names.TEXT_OUTCOMES: names.TextOutcome,
    }
    for values, enum in tuples.items():
        assert list(values) == FROZEN[enum]
        assert {type(value) for value in values} == {str}


def test_the_outcomes_are_the_last_statuses() -> None:
    assert names.STATUSES[-3:] == names.OUTCOMES


def test_the_columns_of_the_results() -> None:
    assert names.STATISTICS == ("", "_var", "_std", "_ci_low", "_ci_high")
    assert list(names.RESULTS_COLUMNS) == [
        *("domain", "scope", "component", "layer", "texts", "tokens"),
        *("delta_mean", "delta_mean_var", "delta_mean_std", "delta_mean_ci_low", "delta_mean_ci_high"),
        *(metric + suffix for metric in METRICS[1:] for suffix in names.STATISTICS),
    ]


def test_the_columns_of_the_texts() -> None:
    assert list(names.TEXTS_COLUMNS) == [
        *("ordinal", "domain", "tokens", "truncated", "error", "scope", "component", "layer"),
        *FROZEN[names.Metric],
    ]


def test_the_columns_of_the_transitions() -> None:
    assert list(names.TRANSITIONS_COLUMNS) == [
        *("domain", "layer", "mean_delta", "var_delta", "abs_mean_delta", "var_abs_delta")
    ]


def test_the_columns_of_the_comparison() -> None:
    assert list(names.COMPARISON_COLUMNS) == [
        *("metric", "scope", "component", "layer", "domain_a", "domain_b", "texts_a", "texts_b"),
        *("mean_a", "mean_b", "difference", "ci_low", "ci_high", "hedges_g", "g_ci_low", "g_ci_high"),
        *("p_value", "p_holm", "q_value"),
        *("adjusted_difference", "adjusted_ci_low", "adjusted_ci_high", "adjusted_p_value"),
    ]


def test_the_columns_of_ranks_and_largest_activations() -> None:
    assert list(names.RANK_COLUMNS) == [
        *("delta_abs_mean_rank", "delta_abs_mean_rank_ci_low", "delta_abs_mean_rank_ci_high"),
        *("relative_norm_rank", "relative_norm_rank_ci_low", "relative_norm_rank_ci_high"),
    ]
    fields = ("unit", "value", "token", "ratio", "texts", "first_texts")
    assert list(names.TOP_ACTIVATION_COLUMNS) == [
        f"{field}_{place}" for place in (1, 2, 3, 4) for field in fields
    ]


def test_the_metrics_of_the_analyses() -> None:
    assert metrics_of(ANALYSES) == names.ANALYSIS_METRICS
    assert metrics_of(("activations",)) == ()
    assert metrics_of(("logit_lens", "ablation")) == (
        *("lens_entropy", "lens_kl", "lens_agreement"),
        *("ablation_nll", "ablation_kl"),
    )
    assert set(names.METRICS_OF_ANALYSIS) == set(ANALYSES)
    assert set(names.PREDICTION_ANALYSES) == {name for name in ANALYSES if metrics_of((name,))}


def test_the_columns_of_the_analyses() -> None:
    assert analysis_columns(()) == analysis_columns(("activations",)) == ()
    assert list(analysis_columns(("ablation",))) == [
        "analysis_texts",
        *(
            "ablation_nll",
            "ablation_nll_var",
            "ablation_nll_std",
            "ablation_nll_ci_low",
            "ablation_nll_ci_high",
        ),
        *("ablation_kl", "ablation_kl_var", "ablation_kl_std", "ablation_kl_ci_low", "ablation_kl_ci_high"),
    ]


@pytest.mark.parametrize("name", ["cpp", "A-Z_0.9", "x" * 64])
def test_valid_names(name: str) -> None:
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "*", "ü", "a\n"])
def test_invalid_names(name: str) -> None:
    assert not NAME.fullmatch(name)


def test_the_pooled_domain_cannot_be_the_name_of_a_domain() -> None:
    assert not re.fullmatch(names.NAME_PATTERN, names.POOLED_DOMAIN)
    assert re.fullmatch(names.NAME_PATTERN, names.DEFAULT_DOMAIN)
