"""The files comparison.csv and comparison.json: differences between domains, and the ranks of layers."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.files.cells import Cell, csv_lines, json_objects
from app.files.results import layer_rows
from app.files.rows import Row, Source, read_rows
from app.tables import Job, comparison
from layerscope.names import COMPARISON_COLUMNS, COMPARISON_KEY, RANKED_METRICS, RANKS, RESULTS_KEY

if TYPE_CHECKING:
    from app.schemas import JobOut

COMPARISON = Source(comparison, COMPARISON_COLUMNS, COMPARISON_KEY)
RANK_KEY = (*RESULTS_KEY, "texts")
RANK_SOURCES = (*RANK_KEY, *(metric + name for metric in RANKED_METRICS for name in ("", "_std", *RANKS)))


def comparison_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(COMPARISON_COLUMNS, comparison_rows(session, job))


def comparison_json(session: Session, job: Job, state: "JobOut") -> Iterator[str]:
    layers = layer_rows(session, job, RANK_SOURCES)
    return comparison_document(job, state.model_dump_json(), comparison_rows(session, job), layers)


def comparison_document(
    job: Job, state: str, comparisons: Iterable[Row], layers: Iterable[Row]
) -> Iterator[str]:
    """`state`: the JSON of the job; `layers`: rows of results.csv, with the ranks."""
    yield f'{{"job": {state}, "estimators": {json.dumps(job.estimators)}, '
    yield '"comparisons": ['
    yield from json_objects(comparisons)
    yield '],\n"ranks": ['
    yield from json_objects(_rank_rows(layers))
    yield "]}\n"


def comparison_rows(session: Session, job: Job, **only: str) -> Iterator[Row]:
    return read_rows(session, job, COMPARISON, **only)


def _rank_rows(layers: Iterable[Row]) -> Iterator[Row]:
    """For each layer the ranked metrics: mean, coefficient of variation, rank, and its interval."""
    for row in layers:
        ranked = [cell for metric in RANKED_METRICS for cell in _ranked(row, metric)]
        yield {name: row[name] for name in RANK_KEY} | dict(ranked)


def _ranked(row: Row, metric: str) -> Iterator[tuple[str, Cell]]:
    yield metric, row[metric]
    yield f"{metric}_cv", coefficient_of_variation(row[metric], row[f"{metric}_std"])
    for suffix in RANKS:
        yield metric + suffix, row[metric + suffix]


def coefficient_of_variation(mean: float | None, deviation: float | None) -> float | None:
    """The standard deviation divided by the absolute value of the mean; None if the mean is 0."""
    return deviation / abs(mean) if mean and deviation is not None else None
