"""The massive tokens: how many there are, what share of the norms they have, and which strings they are."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.files.cells import csv_lines, json_objects
from app.files.provenance import provenance
from app.files.rows import Row, Source, read_rows
from app.tables import Job, massive_string, massive_tokens
from layerscope.names import MASSIVE_TOKENS_COLUMNS, MASSIVE_TOKENS_KEY

if TYPE_CHECKING:
    from app.schemas import JobOut

MASSIVE_TOKENS = Source(massive_tokens, MASSIVE_TOKENS_COLUMNS, MASSIVE_TOKENS_KEY)
STRINGS = Source(massive_string, ("domain", "place", "token", "massive", "texts"), ("domain", "place"))

ABOUT = (
    "A token is massive if its residual norm after any layer is more than 3 times the median of its text, "
    "from which the first token is left out. norm_share: the share of the massive tokens in the sum of the "
    "squared norms of the residual that enters the layer, over all tokens of the domain. tokens: the strings "
    "that are massive most often; massive: how often, texts: in how many texts."
)


def massive_tokens_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(MASSIVE_TOKENS_COLUMNS, massive_tokens_rows(session, job))


def massive_tokens_json(session: Session, job: Job, state: "JobOut") -> Iterator[str]:
    strings = read_rows(session, job, STRINGS)
    return massive_tokens_document(job, state.model_dump_json(), massive_tokens_rows(session, job), strings)


def massive_tokens_document(
    job: Job, state: str, rows: Iterable[Row], strings: Iterable[Row]
) -> Iterator[str]:
    """`state`: the JSON of the job; `rows`: those of massive_tokens.csv; `strings`: those of STRINGS."""
    yield f'{{"job": {state}, "about": {json.dumps(ABOUT)}, "layers": ['
    yield from json_objects(rows)
    yield f'], "tokens": {json.dumps(_by_domain(strings), ensure_ascii=False)}'
    yield f', "provenance": {json.dumps(provenance(job))}}}\n'


def massive_tokens_rows(session: Session, job: Job) -> Iterator[Row]:
    """A row for each domain (also `*`) and layer, in this order; none for jobs without scope `typical`."""
    return read_rows(session, job, MASSIVE_TOKENS)


def _by_domain(strings: Iterable[Row]) -> dict[str, list[dict[str, str | int]]]:
    """For each domain its most frequent massive tokens; `massive`: how often, `texts`: in how many texts."""
    shown = ("token", "massive", "texts")
    return {
        domain: [{name: row[name] for name in shown} for row in of_domain]
        for domain, of_domain in groupby(strings, key=lambda row: str(row["domain"]))
    }
