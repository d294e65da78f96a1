"""The files that set domains against each other and layers in order."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, case, collate, select
from sqlalchemy.orm import Session

from app.export import ROWS_AT_A_TIME, csv_line, json_object
from app.schemas import JobOut
from app.tables import Job, comparison, layer_profile
from app.vocabulary import (
    COMPARED,
    COMPARISON_COUNTS,
    COMPARISON_STATISTICS,
    COMPONENTS,
    METRICS,
    RANKED_METRICS,
    RANKS,
    SCOPES,
)

COMPARISON_COLUMNS = (*COMPARED, *COMPARISON_COUNTS, *COMPARISON_STATISTICS)


def comparison_csv(session: Session, job: Job) -> Iterator[str]:
    yield csv_line(COMPARISON_COLUMNS)
    for row in comparison_rows(session, job):
        yield csv_line(row.values())


def comparison_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "estimators": {json.dumps(job.estimators)}, '
    yield '"comparisons": ['
    yield from _objects(comparison_rows(session, job))
    yield '],\n"ranks": ['
    yield from _objects(_rank_rows(session, job))
    yield "]}\n"


def _objects(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for row in rows:
        yield separator + json_object(row)
        separator = ",\n"
    yield "\n"


def comparison_rows(session: Session, job: Job) -> Iterator[dict[str, Any]]:
    columns = comparison.c
    order = (
        _in_order(columns.metric, METRICS),
        _in_order(columns.scope, SCOPES),
        _in_order(columns.component, COMPONENTS),
        columns.layer,
        collate(columns.domain_a, "C"),
        collate(columns.domain_b, "C"),
    )
    return _rows(session, job, comparison, COMPARISON_COLUMNS, order)


def _rank_rows(session: Session, job: Job) -> Iterator[dict[str, Any]]:
    """The ranked metrics of each layer side by side: mean, coefficient of variation, rank with interval."""
    columns = layer_profile.c
    names = ("domain", "scope", "component", "layer", "texts")
    order = (
        collate(columns.domain, "C"),
        _in_order(columns.scope, SCOPES),
        _in_order(columns.component, COMPONENTS),
        columns.layer,
    )
    ranked = [f"{metric}{suffix}" for metric in RANKED_METRICS for suffix in ("", "_std", *RANKS)]
    for row in _rows(session, job, layer_profile, (*names, *ranked), order):
        place = {name: row[name] for name in names}
        yield place | {name: value for metric in RANKED_METRICS for name, value in _ranked(row, metric)}


def _ranked(row: Mapping[str, Any], metric: str) -> Iterator[tuple[str, Any]]:
    yield metric, row[metric]
    yield f"{metric}_cv", coefficient_of_variation(row[metric], row[f"{metric}_std"])
    for suffix in RANKS:
        yield metric + suffix, row[metric + suffix]


def coefficient_of_variation(mean: float | None, deviation: float | None) -> float | None:
    return deviation / abs(mean) if mean and deviation is not None else None


def _in_order(column: ColumnElement[Any], words: Iterable[str]) -> ColumnElement[Any]:
    return case({word: i for i, word in enumerate(words)}, value=column)


def _rows(
    session: Session, job: Job, table: Table, names: Sequence[str], order: Iterable[ColumnElement[Any]]
) -> Iterator[dict[str, Any]]:
    statement = (
        select(*(table.c[name] for name in names))
        .where(table.c.job_id == job.id)
        .order_by(*order)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    for row in session.execute(statement):
        yield dict(zip(names, row, strict=True))
