"""The statistics of a job from its measured texts, wherever these are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.tables import Job
from layerscope import values as codec
from layerscope.arrays import Array
from layerscope.names import POOLED_DOMAIN
from layerscope.stats.estimators import ESTIMATORS
from worker.finalization.accumulator import Accumulator, StatisticsRow
from worker.finalization.compare_domains import Analysed, ComparedTexts, Comparison, compare_domains
from worker.measurement.analysis_sample import SAMPLING

# A row with the attributes of StoredProfile, of a text without error, and its `domain`.
MeasuredText = Any


@dataclass(frozen=True)
class Statistics:
    """The rows of the tables of statistics; all are empty if no text was measured."""

    layers: list[StatisticsRow]
    first_tokens: list[StatisticsRow]
    massive: list[StatisticsRow]
    strings: list[StatisticsRow]
    comparisons: list[Comparison]


def statistics_of(
    job: Job, texts: Iterable[MeasuredText], compared: Callable[[int], ComparedTexts]
) -> Statistics:
    """The statistics of the measured texts of a job, which come in ordinal order and are never all in memory.

    `compared`: gives the texts of the job, for its number of layers.
    """
    domains = _accumulate(job, texts)
    summaries = {
        domain: accumulator.statistics.moments.summary() for domain, accumulator in sorted(domains.items())
    }
    analysed = {domain: Analysed.of(accumulator) for domain, accumulator in domains.items()}
    layers = [row for domain, summary in summaries.items() for row in domains[domain].rows(domain, summary)]
    firsts = [row for domain in summaries for row in domains[domain].first_token_rows(domain)]
    massive, strings = _massive_rows(job, domains)
    comparisons = []
    if domains:
        stored = compared(domains[POOLED_DOMAIN].layers)
        comparisons = list(compare_domains(stored, job, summaries, analysed))
    return Statistics(layers, firsts, massive, strings, comparisons)


def estimators_of(job: Job) -> dict[str, Any]:
    """Describes how the statistics of a job are computed."""
    return ESTIMATORS | (SAMPLING if job.options.get("analyses") else {})


def _accumulate(job: Job, texts: Iterable[MeasuredText]) -> dict[str, Accumulator]:
    accumulators: dict[str, Accumulator] = {}
    components = len(job.options["components"])
    for text in texts:
        values = codec.decode(text.values, components, len(job.scopes))
        for name in (text.domain, POOLED_DOMAIN):
            if name not in accumulators:
                accumulators[name] = Accumulator(job, values.shape)
            _add(accumulators[name], text, values)
    return accumulators


def _add(accumulator: Accumulator, text: MeasuredText, values: Array) -> None:
    accumulator.add(values, text.tokens, text.massive or ())
    if text.massive is not None:
        norms = codec.decode_square_norms(text.square_norms)
        accumulator.massive_tokens.add(text.tokens, text.massive, text.massive_strings, norms)
    if text.analysis is not None:
        accumulator.add_analysis(text.ordinal, codec.decode_analysis(text.analysis))


def _massive_rows(
    job: Job, domains: dict[str, Accumulator]
) -> tuple[list[StatisticsRow], list[StatisticsRow]]:
    """The rows of `massive_tokens` and of `massive_string`; none for jobs without scope `typical`."""
    measured = {name: of.massive_tokens for name, of in sorted(domains.items()) if of.massive_tokens.texts}
    rows = [
        {"job_id": job.id, "domain": name, "layer": layer, **row}
        for name, of in measured.items()
        for layer, row in enumerate(of.rows())
    ]
    strings = [
        {"job_id": job.id, "domain": name, **row} for name, of in measured.items() for row in of.strings()
    ]
    return rows, strings
