"""The files results.csv and results.json: the statistics of each domain, scope, component and layer."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.files.cells import csv_lines, json_objects
from app.files.provenance import provenance
from app.files.rows import Row, Source, read_rows
from app.tables import Job, layer_profile
from layerscope.names import RESULTS_COLUMNS, RESULTS_KEY, analysis_columns

if TYPE_CHECKING:
    from app.schemas import JobOut


def results_csv(session: Session, job: Job) -> Iterator[str]:
    source = results_source(job)
    return csv_lines(source.columns, read_rows(session, job, source))


def results_json(session: Session, job: Job, state: "JobOut") -> Iterator[str]:
    return results_document(job, state.model_dump_json(), layer_rows(session, job))


def results_document(job: Job, state: str, rows: Iterable[Row]) -> Iterator[str]:
    """`state`: the JSON of the job; `rows`: those of results.csv."""
    yield f'{{"job": {state}, "layers": ['
    yield from json_objects(rows)
    yield f'], "provenance": {json.dumps(provenance(job))}}}\n'


def layer_rows(
    session: Session, job: Job, columns: Sequence[str] | None = None, **only: str
) -> Iterator[Row]:
    """The rows of results.csv, with all its columns or only those given."""
    return read_rows(session, job, results_source(job, columns), **only)


def results_source(job: Job, columns: Sequence[str] | None = None) -> Source:
    names = tuple(columns or RESULTS_COLUMNS + analysis_columns(job.analyses))
    return Source(layer_profile, names, RESULTS_KEY)
