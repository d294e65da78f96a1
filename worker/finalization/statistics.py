"""The statistics of a job from its measured texts, wherever these are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np

from app.disk_space import storing
from app.tables import Job
from layerscope import values as codec
from layerscope.names import POOLED_DOMAIN
from layerscope.stats.estimators import ESTIMATORS
from worker.finalization.accumulator import Accumulator, StatisticsRow
from worker.finalization.compare_domains import Analysed, Comparison, compare_domains
from worker.finalization.compared_texts import ComparedTexts, DomainTexts, MeasuredText
from worker.measurement.analysis_sample import SAMPLING

TEXTS_AT_A_TIME = 256


@dataclass(frozen=True)
class Statistics:
    """The rows of the tables of statistics; all are empty if no text was measured."""

    layers: list[StatisticsRow]
    first_tokens: list[StatisticsRow]
    massive: list[StatisticsRow]
    strings: list[StatisticsRow]
    comparisons: list[Comparison]


def statistics_of(job: Job, measured: Iterable[MeasuredText], texts: Mapping[str, DomainTexts]) -> Statistics:
    """The statistics of the measured texts of a job, which come in ordinal order and are never all in memory.

    `texts`: all texts of each domain. Raises: DiskFull.
    """
    full = (
        f"The folder for temporary files, {gettempdir()}, is full. Make space in it, or choose another one "
        "with the variable TMPDIR. What was measured is kept."
    )
    with storing(full), TemporaryFile(prefix="layerscope-") as file:
        return _statistics_of(job, measured, ComparedTexts(job, texts, file))


def _statistics_of(job: Job, measured: Iterable[MeasuredText], compared: ComparedTexts) -> Statistics:
    domains = _accumulate(job, compared.keeping(measured))
    summaries = {
        domain: accumulator.statistics.moments.summary() for domain, accumulator in sorted(domains.items())
    }
    analysed = {domain: Analysed.of(accumulator) for domain, accumulator in domains.items()}
    layers = [row for domain, summary in summaries.items() for row in domains[domain].rows(domain, summary)]
    firsts = [row for domain in summaries for row in domains[domain].first_token_rows(domain)]
    massive, strings = _massive_rows(job, domains)
    comparisons = list(compare_domains(compared, job, summaries, analysed))
    return Statistics(layers, firsts, massive, strings, comparisons)


def estimators_of(job: Job) -> dict[str, Any]:
    """Describes how the statistics of a job are computed."""
    return ESTIMATORS | (SAMPLING if job.options.get("analyses") else {})


def _accumulate(job: Job, texts: Iterable[MeasuredText]) -> dict[str, Accumulator]:
    accumulators: dict[str, Accumulator] = {}
    remaining = iter(texts)
    while some := list(islice(remaining, TEXTS_AT_A_TIME)):
        _accumulate_some(job, some, accumulators)
    return accumulators


def _accumulate_some(job: Job, texts: Sequence[MeasuredText], accumulators: dict[str, Accumulator]) -> None:
    components, scopes = len(job.options["components"]), len(job.scopes)
    values = np.stack([codec.decode(text.values, components, scopes) for text in texts])
    tokens = np.array([text.tokens for text in texts])
    untypical = np.array([len({0, *(text.massive or ())}) for text in texts])
    domains = np.array([text.domain for text in texts], dtype=object)
    for name in (*dict.fromkeys(domains), POOLED_DOMAIN):
        which = slice(None) if name == POOLED_DOMAIN else domains == name
        if name not in accumulators:
            accumulators[name] = Accumulator(job, values.shape[1:])
        accumulators[name].add(values[which], tokens[which], untypical[which])
    for text in texts:
        for name in (text.domain, POOLED_DOMAIN):
            _add_details(accumulators[name], text)


def _add_details(accumulator: Accumulator, text: MeasuredText) -> None:
    """What only some jobs have: massive tokens and analyses."""
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
