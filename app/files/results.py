"""The files results.csv and results.json: the statistics of each domain, scope, component and layer."""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import collate
from sqlalchemy.orm import Session

from app.files.cells import csv_lines, json_objects
from app.files.provenance import provenance
from app.files.rows import Row, Source, in_order, read_rows
from app.schemas import JobOut
from app.tables import Job, layer_profile
from layerscope.names import COMPONENTS, RESULTS_COLUMNS, SCOPES, analysis_columns


def results_csv(session: Session, job: Job) -> Iterator[str]:
    source = results_source(job)
    return csv_lines(source.columns, read_rows(session, job, source))


def results_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "layers": ['
    yield from json_objects(layer_rows(session, job))
    yield f'], "provenance": {json.dumps(provenance(job))}}}\n'


def layer_rows(
    session: Session, job: Job, columns: Sequence[str] | None = None, **only: str
) -> Iterator[Row]:
    """The rows of results.csv, with all its columns or only those given."""
    return read_rows(session, job, results_source(job, columns), **only)


def results_source(job: Job, columns: Sequence[str] | None = None) -> Source:
    of_table = layer_profile.c
    order = (
        collate(of_table.domain, "C"),
        in_order(of_table.scope, SCOPES),
        in_order(of_table.component, COMPONENTS),
        of_table.layer,
    )
    return Source(layer_profile, tuple(columns or RESULTS_COLUMNS + analysis_columns(job.analyses)), order)
