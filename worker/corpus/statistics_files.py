"""The files of the statistics of a corpus: those of a job, written in the same way."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.files.cells import csv_lines
from app.files.comparison import COMPARISON, comparison_document
from app.files.first_token import first_token_document, first_token_source
from app.files.massive_tokens import MASSIVE_TOKENS, STRINGS, massive_tokens_document
from app.files.parquet import rows_parquet
from app.files.results import results_document, results_source
from app.files.rows import Row, sorted_rows
from app.files.transitions import transition_lines
from app.tables import Job
from layerscope.names import COMPARISON_COLUMNS, RANK_COLUMNS, Component, Outcome, Scope
from worker.corpus.parts import MeasuredParts
from worker.corpus.storage import Storage
from worker.finalization.compare_domains import comparison_rows
from worker.finalization.compared_texts import DomainTexts
from worker.finalization.statistics import Statistics, statistics_of


@dataclass(frozen=True)
class Tables:
    """The rows of the files, by their names."""

    results: list[Row]
    comparison: list[Row]
    first_token: list[Row]
    massive_tokens: list[Row]


@dataclass(frozen=True)
class Counts:
    """Of the texts of a corpus."""

    domains: dict[str, dict[str, int]]
    tokens: int

    @property
    def texts(self) -> int:
        return sum(of["texts"] for of in self.domains.values())

    @property
    def done(self) -> int:
        return sum(of["done"] for of in self.domains.values())


def write_results(storage: Storage, parts: MeasuredParts) -> tuple[Counts, Tables]:
    """Computes the statistics from the parts, one after the other, and writes their files.

    Raises: DiskFull.
    """
    job, texts = parts.job, parts.by_domain()
    counts = _counts(texts)
    found = statistics_of(job, parts.measured(), texts)
    tables = _tables(job, found)
    state = json.dumps(_state(job, counts))
    for name, pieces in _files(job, state, found, tables):
        storage.write(name, pieces)
    return counts, tables


def _counts(texts: Mapping[str, DomainTexts]) -> Counts:
    domains, tokens = {}, 0
    for domain, of in texts.items():
        done = int((of.tokens > 0).sum())
        domains[domain] = {"texts": len(of.ordinals), "done": done, "failed": len(of.ordinals) - done}
        tokens += int(of.tokens.sum())
    return Counts(domains, tokens)


def _tables(job: Job, found: Statistics) -> Tables:
    comparisons = (
        dict(zip(COMPARISON_COLUMNS, row, strict=True))
        for comparison in found.comparisons
        for row in comparison_rows(comparison)
    )
    return Tables(
        sorted_rows(results_source(job), found.layers),
        sorted_rows(COMPARISON, comparisons),
        sorted_rows(first_token_source(job), found.first_tokens),
        sorted_rows(MASSIVE_TOKENS, found.massive),
    )


def _state(job: Job, counts: Counts) -> dict[str, Any]:
    """The corpus as a job: without times and links, which it does not have."""
    facts = job.measured_with or {}
    return {
        "id": str(job.id),
        "name": job.name,
        "status": Outcome.SUCCEEDED if counts.done else Outcome.FAILED,
        "model": {
            "name": job.model,
            **{name: facts[name] for name in ("source", "revision", "layers", "hidden_size", "dtype")},
        },
        "options": job.options,
        "progress": {
            "texts": counts.texts,
            "done": counts.done,
            "failed": counts.texts - counts.done,
            "tokens": counts.tokens,
        },
        "domains": counts.domains,
    }


def _files(
    job: Job, state: str, found: Statistics, tables: Tables
) -> Iterator[tuple[str, Iterable[str | bytes]]]:
    results, first = results_source(job), first_token_source(job)
    yield "results.csv", csv_lines(results.columns, tables.results)
    yield "results.json", results_document(job, state, tables.results)
    yield "results.parquet", rows_parquet(job, results.columns, [tables.results])
    yield "comparison.csv", csv_lines(COMPARISON.columns, tables.comparison)
    ranks = sorted_rows(results_source(job, (*results.columns, *RANK_COLUMNS)), found.layers)
    yield "comparison.json", comparison_document(job, state, tables.comparison, ranks)
    yield "comparison.parquet", rows_parquet(job, COMPARISON.columns, [tables.comparison])
    yield "first_token.csv", csv_lines(first.columns, tables.first_token)
    yield "first_token.json", first_token_document(job, state, tables.first_token)
    yield "massive_tokens.csv", csv_lines(MASSIVE_TOKENS.columns, tables.massive_tokens)
    strings = sorted_rows(STRINGS, found.strings)
    yield "massive_tokens.json", massive_tokens_document(job, state, tables.massive_tokens, strings)
    if Component.BLOCK in job.options["components"]:
        place = {"scope": Scope.ALL, "component": Component.BLOCK}
        rows = [row for row in tables.results if all(row[name] == value for name, value in place.items())]
        yield "transitions.csv", transition_lines(rows)
