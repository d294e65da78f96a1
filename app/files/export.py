"""The files of a finished job: their columns, and their rows as pieces of text, never all in memory."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, case, collate, select
from sqlalchemy.orm import Session

from app.errors import FileNotFound
from app.files.provenance import provenance
from app.schemas import JobOut
from app.tables import Job, StoredProfile, Text, layer_profile
from layerscope import values
from layerscope.names import (
    COMPONENTS,
    RESULTS_COLUMNS,
    SCOPES,
    TEXTS_COLUMNS,
    TRANSITIONS_COLUMNS,
    analysis_columns,
    metrics_of,
)

FORMAT = 3  # raise it with any change of the bytes: it is part of the files' ETags
ROWS_AT_A_TIME = 200

Cell = str | int | float | None
Pieces = Callable[[Session, Job], Iterator[str]]


def results_columns(job: Job) -> tuple[str, ...]:
    return RESULTS_COLUMNS + analysis_columns(job.analyses)


def texts_columns(job: Job) -> tuple[str, ...]:
    return TEXTS_COLUMNS + metrics_of(job.analyses)


def results_csv(session: Session, job: Job) -> Iterator[str]:
    return csv_lines(results_columns(job), layer_rows(session, job))


def results_json(session: Session, job: Job, state: JobOut) -> Iterator[str]:
    yield f'{{"job": {state.model_dump_json()}, "layers": ['
    yield from json_objects(layer_rows(session, job))
    yield f'], "provenance": {json.dumps(provenance(job))}}}\n'


def transitions_csv(session: Session, job: Job) -> Iterator[str]:
    """The original study's table: transition i is what layer i + 1 wrote, so layer 0 is not in it.

    Raises: FileNotFound.
    """
    if "block" not in job.options["components"]:
        raise FileNotFound("Transitions are block deltas, and the job's components leave `block` out.")
    yield csv_line(TRANSITIONS_COLUMNS)
    for row in layer_rows(session, job, scope="all", component="block"):
        if row["layer"] > 0:
            yield csv_line(
                (
                    *(row["domain"], row["layer"] - 1),
                    *(row["delta_mean"], population_variance(row["delta_mean_var"], row["texts"])),
                    *(row["delta_abs_mean"], population_variance(row["delta_abs_mean_var"], row["texts"])),
                )
            )


def population_variance(sample_variance: float | None, texts: int) -> float | None:
    """ddof = 0 from ddof = 1; of one text, which has no sample variance, 0."""
    if texts == 1:
        return 0.0
    return None if sample_variance is None else sample_variance * (texts - 1) / texts


def layer_rows(
    session: Session, job: Job, names: Sequence[str] | None = None, **only: str
) -> Iterator[dict[str, Any]]:
    """Of all columns, those of the job's analyses too, unless some are named."""
    columns = layer_profile.c
    order = (
        collate(columns.domain, "C"),
        in_order(columns.scope, SCOPES),
        in_order(columns.component, COMPONENTS),
        columns.layer,
    )
    return job_rows(session, job, layer_profile, names or results_columns(job), order, **only)


def in_order(column: ColumnElement[Any], words: Iterable[str]) -> ColumnElement[Any]:
    return case({word: i for i, word in enumerate(words)}, value=column)


def job_rows(
    session: Session,
    job: Job,
    table: Table,
    names: Sequence[str],
    order: Iterable[ColumnElement[Any]],
    **only: str,
) -> Iterator[dict[str, Any]]:
    statement = (
        select(*(table.c[name] for name in names))
        .where(table.c.job_id == job.id, *(table.c[name] == value for name, value in only.items()))
        .order_by(*order)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    for row in session.execute(statement):
        yield dict(zip(names, row, strict=True))


def texts_csv(session: Session, job: Job) -> Iterator[str]:
    yield csv_line(texts_columns(job))
    yield from _text_pieces(session, job, _csv_of_measured, _csv_of_failed)


def texts_ndjson(session: Session, job: Job) -> Iterator[str]:
    yield from _text_pieces(session, job, _ndjson_of_measured, _ndjson_of_failed)


class TextRow(NamedTuple):
    ordinal: int
    domain: str
    tokens: int
    truncated: bool
    error: str | None
    values: bytes | None
    analysis: bytes | None


Keys = list[tuple[str, str, int]]
Columns = tuple[str, ...]


def _text_pieces(
    session: Session,
    job: Job,
    succeeded: Callable[[TextRow, Keys, list[list[float]], Columns], str],
    failed: Callable[[TextRow, Columns], str],
) -> Iterator[str]:
    """One piece for each text: all its rows."""
    components, columns = job.options["components"], texts_columns(job)
    keys: Keys = []
    for text in text_rows(session, job):
        if text.values is None:
            yield failed(text, columns)
            continue
        measured = values.decode(text.values, len(components))
        keys = keys or values.row_keys(components, measured.shape[2])
        yield succeeded(text, keys, values.rows(measured, text.analysis, job.analyses).tolist(), columns)


def text_rows(session: Session, job: Job) -> Iterator[TextRow]:
    profile = StoredProfile
    measured = (profile.tokens, profile.truncated, profile.error, profile.values, profile.analysis)
    statement = (
        select(profile.ordinal, Text.domain, *measured)
        .join(Text, (Text.job_id == profile.job_id) & (Text.ordinal == profile.ordinal))
        .where(profile.job_id == job.id)
        .order_by(profile.ordinal)
        .execution_options(yield_per=ROWS_AT_A_TIME)
    )
    for row in session.execute(statement):
        yield TextRow(*row)


def _csv_of_measured(text: TextRow, keys: Keys, rows: list[list[float]], columns: Columns) -> str:
    # By hand, since there are millions of these rows: all but the domain are numbers and known words.
    start = f"{text.ordinal},{safe_cell(text.domain)},{text.tokens},{_truth(text.truncated)},,"
    return "".join(
        [
            f"{start}{scope},{component},{layer},{_numbers(row)}\r\n"
            for (scope, component, layer), row in zip(keys, rows, strict=True)
        ]
    )


def _csv_of_failed(text: TextRow, columns: Columns) -> str:
    empty = [None] * (len(columns) - 5)
    return csv_line([text.ordinal, text.domain, None, None, text.error, *empty])


def _ndjson_of_measured(text: TextRow, keys: Keys, rows: list[list[float]], columns: Columns) -> str:
    numbers = ",".join(f'"{metric}":%r' for metric in columns[-len(rows[0]) :])
    start = (
        f'{{"ordinal":{text.ordinal},"domain":"{text.domain}","tokens":{text.tokens},'
        f'"truncated":{_truth(text.truncated)},"error":null,'
    )
    return "".join(
        [
            f'{start}"scope":"{scope}","component":"{component}","layer":{layer},{_filled(numbers, row)}}}\n'
            for (scope, component, layer), row in zip(keys, rows, strict=True)
        ]
    )


def _ndjson_of_failed(text: TextRow, columns: Columns) -> str:
    row: dict[str, Cell] = dict.fromkeys(columns)
    row |= {"ordinal": text.ordinal, "domain": text.domain, "error": text.error}
    return json_object(row) + "\n"


def _numbers(row: list[float]) -> str:
    return ",".join(map(repr, row)).replace("nan", "")


def _filled(numbers: str, row: list[float]) -> str:
    return (numbers % tuple(row)).replace("nan", "null")


def _truth(value: bool) -> str:
    return "true" if value else "false"


def json_objects(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What stands between the brackets of a list."""
    separator = "\n"
    for row in rows:
        yield separator + json_object(row)
        separator = ",\n"
    yield "\n"


def json_object(row: Mapping[str, Any]) -> str:
    """NaN is no JSON: no value is null."""
    values = {name: None if is_missing(value) else value for name, value in row.items()}
    return json.dumps(values, allow_nan=False)


def csv_lines(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield csv_line(names)
    for row in rows:
        yield csv_line(row.values())


def csv_line(cells: Iterable[Cell]) -> str:
    """A line of RFC 4180; empty stands for no value."""
    line = io.StringIO()
    csv.writer(line).writerow([_csv_cell(cell) for cell in cells])
    return line.getvalue()


def _csv_cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return safe_cell(cell)
    return None if is_missing(cell) else cell


def is_missing(cell: Cell) -> bool:
    return isinstance(cell, float) and not math.isfinite(cell)


def safe_cell(text: str) -> str:
    """A text that a spreadsheet would run as a formula gets a quote before it."""
    first = text.lstrip(" ")[:1]
    return "'" + text if first and first in "=+-@＝＋－＠\t\r\n" else text
