"""The files texts.csv and texts.ndjson: the values of each text, scope, component and layer.

These files have millions of rows. So their lines are formatted here directly, and not by `cells`: except for
the domain and the error, all values are numbers and fixed names.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.files.cells import Cell, csv_line, json_object, safe_cell
from app.files.rows import ROWS_AT_A_TIME
from app.tables import Job, StoredProfile, Text
from layerscope import values
from layerscope.names import (
    MASSIVE_COLUMN,
    METRICS,
    SPECIAL_TOKENS_COLUMN,
    TEXTS_COLUMNS,
    Scope,
    metrics_of,
)

Columns = tuple[str, ...]


class TextRow(NamedTuple):
    """A text as it is stored. `values` and `analysis` have the layout of layerscope.values."""

    ordinal: int
    domain: str
    tokens: int
    truncated: bool
    error: str | None
    values: bytes | None
    analysis: bytes | None
    special_tokens_added: int | None
    massive: list[int] | None


class Profiled(NamedTuple):
    """The rows of a text in the files: their keys (scope, component, layer), and their numbers."""

    text: TextRow
    keys: Sequence[tuple[str, str, int]]
    numbers: Sequence[Sequence[float]]


def texts_columns(job: Job) -> Columns:
    return TEXTS_COLUMNS + metrics_of(job.analyses) + added_columns(job)


def added_columns(job: Job) -> Columns:
    """The last columns. Jobs of earlier versions do not have them."""
    special = (SPECIAL_TOKENS_COLUMN,) if job.counts_special_tokens else ()
    return special + ((MASSIVE_COLUMN,) if Scope.TYPICAL in job.scopes else ())


def added_counts(text: TextRow, columns: Columns) -> dict[str, int | None]:
    """The values of a text in those of its last columns that are among `columns`."""
    massive = None if text.massive is None else len(text.massive)
    counts = {SPECIAL_TOKENS_COLUMN: text.special_tokens_added, MASSIVE_COLUMN: massive}
    return {name: count for name, count in counts.items() if name in columns}


def texts_csv(session: Session, job: Job) -> Iterator[str]:
    yield csv_line(texts_columns(job))
    yield from _pieces(session, job, _csv_of_profiled, _csv_of_failed)


def texts_ndjson(session: Session, job: Job) -> Iterator[str]:
    yield from _pieces(session, job, _ndjson_of_profiled, _ndjson_of_failed)


def text_batches(session: Session, job: Job, size: int) -> Iterator[Sequence[TextRow]]:
    """The texts in ordinal order, `size` at a time."""
    profile = StoredProfile
    measured = (
        *(profile.tokens, profile.truncated, profile.error),
        *(profile.values, profile.analysis, profile.special_tokens_added, profile.massive),
    )
    statement = (
        select(profile.ordinal, Text.domain, *measured)
        .join(Text, (Text.job_id == profile.job_id) & (Text.ordinal == profile.ordinal))
        .where(profile.job_id == job.id)
        .order_by(profile.ordinal)
        .execution_options(yield_per=size)
    )
    for rows in session.execute(statement).partitions():
        yield [TextRow(*row) for row in rows]


def _pieces(
    session: Session,
    job: Job,
    profiled: Callable[[Profiled, Columns], str],
    failed: Callable[[TextRow, Columns], str],
) -> Iterator[str]:
    """One piece for each text: all its lines."""
    components, columns = job.options["components"], texts_columns(job)
    keys: list[tuple[str, str, int]] = []
    for text in chain.from_iterable(text_batches(session, job, ROWS_AT_A_TIME)):
        if text.values is None:
            yield failed(text, columns)
            continue
        measured = values.decode(text.values, len(components), len(job.scopes))
        keys = keys or values.row_keys(job.scopes, components, measured.shape[2])
        numbers = values.rows(measured, text.analysis, job.analyses).tolist()
        yield profiled(Profiled(text, keys, numbers), columns)


def _csv_of_profiled(profiled: Profiled, columns: Columns) -> str:
    text, keys, rows = profiled
    start = f"{text.ordinal},{safe_cell(text.domain)},{text.tokens},{_boolean(text.truncated)},,"
    counts = added_counts(text, columns).values()
    end = "".join("," if count is None else f",{count}" for count in counts)
    return "".join(
        [
            f"{start}{scope},{component},{layer},{_csv_numbers(numbers)}{end}\r\n"
            for (scope, component, layer), numbers in zip(keys, rows, strict=True)
        ]
    )


def _csv_of_failed(text: TextRow, columns: Columns) -> str:
    start = (text.ordinal, text.domain, None, None, text.error)
    return csv_line([*start, *[None] * (len(columns) - len(start))])


def _ndjson_of_profiled(profiled: Profiled, columns: Columns) -> str:
    text, keys, rows = profiled
    first = len(TEXTS_COLUMNS) - len(METRICS)
    template = ",".join(f'"{metric}":%r' for metric in columns[first : first + len(rows[0])])
    counts = added_counts(text, columns).items()
    end = "".join(f',"{name}":{json.dumps(count)}' for name, count in counts)
    start = (
        f'{{"ordinal":{text.ordinal},"domain":"{text.domain}","tokens":{text.tokens},'
        f'"truncated":{_boolean(text.truncated)},"error":null,'
    )
    return "".join(
        [
            f'{start}"scope":"{scope}","component":"{component}","layer":{layer},'
            f"{_json_numbers(template, numbers)}{end}}}\n"
            for (scope, component, layer), numbers in zip(keys, rows, strict=True)
        ]
    )


def _ndjson_of_failed(text: TextRow, columns: Columns) -> str:
    row: dict[str, Cell] = dict.fromkeys(columns)
    row |= {"ordinal": text.ordinal, "domain": text.domain, "error": text.error}
    return json_object(row) + "\n"


def _csv_numbers(numbers: Sequence[float]) -> str:
    return ",".join(map(repr, numbers)).replace("nan", "")


def _json_numbers(template: str, numbers: Sequence[float]) -> str:
    return (template % tuple(numbers)).replace("nan", "null")


def _boolean(value: bool) -> str:
    return "true" if value else "false"
