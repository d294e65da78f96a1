"""The first-token report: the share of the first token in each layer, and the largest activations."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.files.cells import csv_lines, json_objects
from app.files.provenance import provenance
from app.files.rows import Row, Source, read_rows
from app.tables import Job, first_token
from layerscope.names import FIRST_TOKEN_KEY, SHARES, TOP_ACTIVATION_COLUMNS

if TYPE_CHECKING:
    from app.schemas import JobOut

ABOUT = (
    "Measured on this job's texts with this model; no claim about other texts or models. The shares are of "
    "delta_abs_mean in scope all; the largest activations are those of the analysed texts."
)


def first_token_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(first_token_columns(job), first_token_rows(session, job))


def first_token_json(session: Session, job: Job, state: "JobOut") -> Iterator[str]:
    return first_token_document(job, state.model_dump_json(), first_token_rows(session, job))


def first_token_document(job: Job, state: str, rows: Iterable[Row]) -> Iterator[str]:
    """`state`: the JSON of the job; `rows`: those of first_token.csv."""
    yield f'{{"job": {state}, "about": {json.dumps(ABOUT)}, "layers": ['
    yield from json_objects(rows)
    yield f'], "provenance": {json.dumps(provenance(job))}}}\n'


def first_token_columns(job: Job) -> tuple[str, ...]:
    """The columns of the largest activations exist only if the job requested an analysis."""
    analysed = ("analysis_texts", *TOP_ACTIVATION_COLUMNS) if job.analyses else ()
    return *FIRST_TOKEN_KEY, "texts", *SHARES, *analysed


def first_token_rows(session: Session, job: Job) -> Iterator[Row]:
    """A row for each domain (also `*`), component and layer, in this order."""
    return read_rows(session, job, first_token_source(job))


def first_token_source(job: Job) -> Source:
    return Source(first_token, first_token_columns(job), FIRST_TOKEN_KEY)
