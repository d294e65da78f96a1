"""The rows of a job's files: from the database with a cursor, so that memory does not grow, or given."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, Table, case, collate, select
from sqlalchemy.orm import Session

from app.tables import Job
from layerscope.names import ANALYSIS_METRICS, COMPONENTS, METRICS, SCOPES

ROWS_AT_A_TIME = 200
# These columns are sorted by the position of their name here; all others by their value.
NAMES_IN_ORDER = {"metric": (*METRICS, *ANALYSIS_METRICS), "scope": SCOPES, "component": COMPONENTS}

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """The database table of a file, the columns of the file, and those by which its rows are sorted."""

    table: Table
    columns: tuple[str, ...]
    order: tuple[str, ...]


def read_rows(session: Session, job: Job, source: Source, **only: str) -> Iterator[Row]:
    """The rows of a job; `only` selects those with the given values, such as scope="all"."""
    return chain.from_iterable(read_batches(session, job, source, ROWS_AT_A_TIME, **only))


def read_batches(session: Session, job: Job, source: Source, size: int, **only: str) -> Iterator[list[Row]]:
    """The same in lists of `size` rows. The last may be shorter."""
    columns = source.table.c
    statement = (
        select(*(columns[name] for name in source.columns))
        .where(columns.job_id == job.id, *(columns[name] == value for name, value in only.items()))
        .order_by(*(_in_order(columns[name]) for name in source.order))
        .execution_options(yield_per=size)
    )
    for rows in session.execute(statement).partitions():
        yield [dict(zip(source.columns, row, strict=True)) for row in rows]


def sorted_rows(source: Source, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows that are not in the database, as `read_rows` would return them: its integers are no floats."""
    whole = {name for name in source.columns if isinstance(source.table.c[name].type, Integer)}
    ordered = sorted(rows, key=lambda row: [_place(name, row[name]) for name in source.order])
    return [{name: _typed(row[name], name in whole) for name in source.columns} for row in ordered]


def _typed(value: Any, is_whole: bool) -> Any:
    return int(value) if is_whole and value is not None else value


def _in_order(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if names := NAMES_IN_ORDER.get(str(column.key)):
        return case({name: i for i, name in enumerate(names)}, value=column)
    return collate(column, "C") if isinstance(column.type, String) else column


def _place(name: str, value: Any) -> Any:
    """Names of domains are ASCII, so Python sorts them like the collation "C" of the database."""
    return NAMES_IN_ORDER[name].index(value) if name in NAMES_IN_ORDER else value
