"""Compares all pairs of domains from the values of their texts, once, when their job is finalized."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.tables import Job
from layerscope.arrays import Array
from layerscope.names import (
    ANALYSIS_PLACE,
    COMPARISON_COUNTS,
    COMPARISON_STATISTICS,
    METRICS,
    POOLED_DOMAIN,
    Metric,
    metrics_of,
)
from layerscope.stats.length_adjustment import adjusted, adjusted_paired
from layerscope.stats.moments import Summary
from layerscope.stats.multiple_testing import benjamini_hochberg, holm
from layerscope.stats.two_sample import Sample, paired, welch
from worker.finalization.accumulator import Accumulator
from worker.finalization.compared_texts import ComparedTexts, DomainTexts

DomainNames = tuple[str, str]


@dataclass(frozen=True)
class Analysed:
    """The analysed texts of a domain, in ordinal order."""

    ordinals: NDArray[np.int64]
    values: Array  # (n, L, M), of the M requested metrics
    summary: Summary

    @classmethod
    def of(cls, accumulator: Accumulator) -> "Analysed":
        return cls(
            np.array(list(accumulator.analyses), np.int64),
            accumulator.analysed_values(),
            accumulator.analysis_statistics.moments.summary(),
        )


@dataclass(frozen=True)
class Comparison:
    """The comparisons of all pairs of domains in one scope and component; each statistic is (P, L, M)."""

    place: tuple[str, str]
    metrics: Sequence[str]
    pairs: Sequence[DomainNames]
    statistics: Mapping[str, Array]


def compare_domains(
    compared: ComparedTexts, job: Job, summaries: Mapping[str, Summary], analysed: Mapping[str, Analysed]
) -> Iterator[Comparison]:
    """Compares all pairs of domains.

    `summaries` and `analysed` contain an entry for each domain and for the pooled domain.
    """
    pairs = list(combinations(sorted(summaries.keys() - {POOLED_DOMAIN}), 2))
    if not pairs:
        return
    pooled = summaries[POOLED_DOMAIN].mean
    for c, component in enumerate(job.options["components"]):
        for s, scope in enumerate(job.scopes):
            size = _rounding_sizes(pooled[c, s])
            values = compared.values(c, s)
            samples = {domain: _sample(summary, (c, s)) for domain, summary in summaries.items()}
            found = _compare_all(job, pairs, compared.chosen, values, samples, size)
            yield Comparison((scope, component), METRICS, pairs, found)
    if metrics := metrics_of(job.analyses):
        yield Comparison(
            ANALYSIS_PLACE, metrics, pairs, _compare_analysed(job, pairs, compared.texts, analysed)
        )


def _compare_analysed(
    job: Job, pairs: Sequence[DomainNames], texts: Mapping[str, DomainTexts], analysed: Mapping[str, Analysed]
) -> dict[str, Array]:
    """Compares the analysed texts.

    Their values are differences of logarithms or shares, so rounding is relative to 1.
    """
    chosen = {
        domain: texts[domain].at(np.isin(texts[domain].ordinals, analysed[domain].ordinals))
        for domain in texts
    }
    values = {domain: analysed[domain].values for domain in texts}
    samples = {domain: _sample(analysed[domain].summary, ()) for domain in texts}
    size = np.ones(next(iter(values.values())).shape[1:])
    return _compare_all(job, pairs, chosen, values, samples, size)


def _compare_all(
    job: Job,
    pairs: Sequence[DomainNames],
    texts: Mapping[str, DomainTexts],
    values: Mapping[str, Array],
    samples: Mapping[str, Sample],
    size: Array,
) -> dict[str, Array]:
    if job.options.get("paired"):
        return _corrected([_compare_paired(a, b, texts, values, size) for a, b in pairs])
    return _corrected([_compare(a, b, texts, values, samples, size) for a, b in pairs])


def _rounding_sizes(mean: Array) -> Array:
    """(L, M): the size to which the rounding of each metric is relative.

    `delta_mean` and `cosine` are sums whose parts nearly cancel, so they use another size.
    """
    size = np.abs(mean)
    size[:, METRICS.index(Metric.DELTA_MEAN)] = size[:, METRICS.index(Metric.DELTA_ABS_MEAN)]
    size[:, METRICS.index(Metric.COSINE)] = 1.0
    return size


def _sample(summary: Summary, at: tuple[int, ...]) -> Sample:
    return Sample(summary.count[at], summary.mean[at], summary.var[at])


def _compare(
    a: str,
    b: str,
    texts: Mapping[str, DomainTexts],
    values: Mapping[str, Array],
    samples: Mapping[str, Sample],
    size: Array,
) -> dict[str, Array]:
    difference = welch(samples[a], samples[b], size)
    at_equal_length = adjusted(values[a], texts[a].tokens, values[b], texts[b].tokens, size)
    return {**difference._asdict(), **at_equal_length._asdict()}


def _compare_paired(
    a: str, b: str, texts: Mapping[str, DomainTexts], values: Mapping[str, Array], size: Array
) -> dict[str, Array]:
    """Compares the texts at the same place of both domains, if both were measured."""
    _, i, j = np.intersect1d(texts[a].places, texts[b].places, assume_unique=True, return_indices=True)
    left, right = values[a][i], values[b][j]
    difference = paired(left, right, size)
    at_equal_length = adjusted_paired(left, texts[a].tokens[i], right, texts[b].tokens[j], size)
    return {**difference._asdict(), **at_equal_length._asdict()}


def _corrected(found: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Each statistic as (P, L, M), with the corrections over all tests of a metric."""
    table = {name: np.stack([of_pair[name] for of_pair in found]) for name in found[0]}
    p_values = [table["p_value"][..., m] for m in range(table["p_value"].shape[-1])]
    table["p_holm"] = np.stack([holm(p) for p in p_values], axis=-1)
    table["q_value"] = np.stack([benjamini_hochberg(p) for p in p_values], axis=-1)
    return table


def comparison_rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    """The rows of `comparison` in the order of COMPARISON_COLUMNS. None = no value."""
    found = comparison.statistics
    counts = np.stack([found[name] for name in COMPARISON_COUNTS], -1).astype(np.int64).tolist()
    statistics = np.stack([found[name] for name in COMPARISON_STATISTICS], -1)
    cells = np.where(np.isfinite(statistics), statistics.astype(object), np.array(None)).tolist()
    for p, pair in enumerate(comparison.pairs):
        for layer in range(statistics.shape[1]):
            for m, metric in enumerate(comparison.metrics):
                yield metric, *comparison.place, layer, *pair, *counts[p][layer][m], *cells[p][layer][m]
