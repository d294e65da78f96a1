"""The first-token report: how much of each layer's numbers one token is, and where the giants stand."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import collate
from sqlalchemy.orm import Session

from app.files.export import csv_lines, in_order, job_rows, json_objects
from app.files.provenance import provenance
from app.schemas import JobOut
from app.tables import Job, first_token
from layerscope.names import COMPONENTS, SHARES, TOP_ACTIVATION_COLUMNS

ABOUT = (
    "Measured on this job's texts with this model; no claim about other texts or models. The shares are of "
    "delta_abs_mean in scope all; the largest activations are those of the analysed texts."
)


def first_token_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(first_token_columns(job), first_token_rows(session, job))


def first_token_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "about": {json.dumps(ABOUT)}, "layers": ['
    yield from json_objects(first_token_rows(session, job))
    yield f'], "provenance": {json.dumps(provenance(job))}}}\n'


def first_token_columns(job: Job) -> tuple[str, ...]:
    """Those of the largest activations only where the job asked for an analysis."""
    analysed = ("analysis_texts", *TOP_ACTIVATION_COLUMNS) if job.options.get("analyses") else ()
    return "domain", "component", "layer", "texts", *SHARES, *analysed


def first_token_rows(session: Session, job: Job) -> Iterator[dict[str, Any]]:
    """A row for each domain (`*` too), component and layer, in that order."""
    columns = first_token.c
    order = collate(columns.domain, "C"), in_order(columns.component, COMPONENTS), columns.layer
    return job_rows(session, job, first_token, first_token_columns(job), order)
