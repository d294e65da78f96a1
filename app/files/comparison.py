"""The files comparison.csv and comparison.json: differences between domains, and the ranks of layers."""

import json
from collections.abc import Iterator

from sqlalchemy import collate
from sqlalchemy.orm import Session

from app.files.cells import Cell, csv_lines, json_objects
from app.files.results import layer_rows
from app.files.rows import Row, Source, in_order, read_rows
from app.schemas import JobOut
from app.tables import Job, comparison
from layerscope.names import (
    ANALYSIS_METRICS,
    COMPARISON_COLUMNS,
    COMPONENTS,
    METRICS,
    RANKED_METRICS,
    RANKS,
    RESULTS_KEY,
    SCOPES,
)

COMPARISON = Source(
    comparison,
    COMPARISON_COLUMNS,
    (
        in_order(comparison.c.metric, (*METRICS, *ANALYSIS_METRICS)),
        in_order(comparison.c.scope, SCOPES),
        in_order(comparison.c.component, COMPONENTS),
        comparison.c.layer,
        collate(comparison.c.domain_a, "C"),
        collate(comparison.c.domain_b, "C"),
    ),
)


def comparison_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(COMPARISON_COLUMNS, comparison_rows(session, job))


def comparison_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "estimators": {json.dumps(job.estimators)}, '
    yield '"comparisons": ['
    yield from json_objects(comparison_rows(session, job))
    yield '],\n"ranks": ['
    yield from json_objects(_rank_rows(session, job))
    yield "]}\n"


def comparison_rows(session: Session, job: Job, **only: str) -> Iterator[Row]:
    return read_rows(session, job, COMPARISON, **only)


def _rank_rows(session: Session, job: Job) -> Iterator[Row]:
    """For each layer the ranked metrics: mean, coefficient of variation, rank, and its interval."""
    key = (*RESULTS_KEY, "texts")
    columns = [f"{metric}{suffix}" for metric in RANKED_METRICS for suffix in ("", "_std", *RANKS)]
    for row in layer_rows(session, job, (*key, *columns)):
        ranked = [cell for metric in RANKED_METRICS for cell in _ranked(row, metric)]
        yield {name: row[name] for name in key} | dict(ranked)


def _ranked(row: Row, metric: str) -> Iterator[tuple[str, Cell]]:
    yield metric, row[metric]
    yield f"{metric}_cv", coefficient_of_variation(row[metric], row[f"{metric}_std"])
    for suffix in RANKS:
        yield metric + suffix, row[metric + suffix]


def coefficient_of_variation(mean: float | None, deviation: float | None) -> float | None:
    """The standard deviation divided by the absolute value of the mean; None if the mean is 0."""
    return deviation / abs(mean) if mean and deviation is not None else None
