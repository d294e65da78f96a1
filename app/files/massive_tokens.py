"""The massive tokens: how many there are, what share of the norms they have, and which strings they are."""

import json
from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import collate, select
from sqlalchemy.orm import Session

from app.files.cells import csv_lines, json_objects
from app.files.provenance import provenance
from app.files.rows import Row, Source, read_rows
from app.schemas import JobOut
from app.tables import Job, massive_string, massive_tokens
from layerscope.names import MASSIVE_TOKENS_COLUMNS

ABOUT = (
    "A token is massive if its residual norm after any layer is more than 3 times the median of its text, "
    "from which the first token is left out. norm_share: the share of the massive tokens in the sum of the "
    "squared norms of the residual that enters the layer, over all tokens of the domain. tokens: the strings "
    "that are massive most often; massive: how often, texts: in how many texts."
)


def massive_tokens_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(MASSIVE_TOKENS_COLUMNS, massive_tokens_rows(session, job))


def massive_tokens_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "about": {json.dumps(ABOUT)}, "layers": ['
    yield from json_objects(massive_tokens_rows(session, job))
    yield f'], "tokens": {json.dumps(_strings(session, job), ensure_ascii=False)}'
    yield f', "provenance": {json.dumps(provenance(job))}}}\n'


def massive_tokens_rows(session: Session, job: Job) -> Iterator[Row]:
    """A row for each domain (also `*`) and layer, in this order; none for jobs without scope `typical`."""
    order = collate(massive_tokens.c.domain, "C"), massive_tokens.c.layer
    return read_rows(session, job, Source(massive_tokens, MASSIVE_TOKENS_COLUMNS, order))


def _strings(session: Session, job: Job) -> dict[str, list[dict[str, str | int]]]:
    """For each domain its most frequent massive tokens; `massive`: how often, `texts`: in how many texts."""
    columns = massive_string.c
    rows = session.execute(
        select(columns.domain, columns.token, columns.massive, columns.texts)
        .where(columns.job_id == job.id)
        .order_by(collate(columns.domain, "C"), columns.place)
    )
    return {
        domain: [{"token": row.token, "massive": row.massive, "texts": row.texts} for row in of_domain]
        for domain, of_domain in groupby(rows, key=lambda row: row.domain)
    }
