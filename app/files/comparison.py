"""The files that set domains against each other and layers in order."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import collate
from sqlalchemy.orm import Session

from app.files.export import csv_lines, in_order, job_rows, json_objects, layer_rows
from app.schemas import JobOut
from app.tables import Job, comparison
from layerscope.names import (
    ANALYSIS_METRICS,
    COMPARISON_COLUMNS,
    COMPONENTS,
    METRICS,
    RANKED_METRICS,
    RANKS,
    SCOPES,
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


def comparison_rows(session: Session, job: Job, **only: str) -> Iterator[dict[str, Any]]:
    columns = comparison.c
    order = (
        in_order(columns.metric, (*METRICS, *ANALYSIS_METRICS)),
        in_order(columns.scope, SCOPES),
        in_order(columns.component, COMPONENTS),
        columns.layer,
        collate(columns.domain_a, "C"),
        collate(columns.domain_b, "C"),
    )
    return job_rows(session, job, comparison, COMPARISON_COLUMNS, order, **only)


def _rank_rows(session: Session, job: Job) -> Iterator[dict[str, Any]]:
    """The ranked metrics of each layer side by side: mean, coefficient of variation, rank with interval."""
    names = ("domain", "scope", "component", "layer", "texts")
    ranked = [f"{metric}{suffix}" for metric in RANKED_METRICS for suffix in ("", "_std", *RANKS)]
    for row in layer_rows(session, job, (*names, *ranked)):
        place = {name: row[name] for name in names}
        yield place | {name: value for metric in RANKED_METRICS for name, value in _ranked(row, metric)}


def _ranked(row: Mapping[str, Any], metric: str) -> Iterator[tuple[str, Any]]:
    yield metric, row[metric]
    yield f"{metric}_cv", coefficient_of_variation(row[metric], row[f"{metric}_std"])
    for suffix in RANKS:
        yield metric + suffix, row[metric + suffix]


def coefficient_of_variation(mean: float | None, deviation: float | None) -> float | None:
    return deviation / abs(mean) if mean and deviation is not None else None
