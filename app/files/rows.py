"""Reads the rows of a job's files from the database with a cursor, so that memory does not grow with them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Table, case, select
from sqlalchemy.orm import Session

from app.tables import Job

ROWS_AT_A_TIME = 200

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """The database table of a file, the columns of the file in their order, and the order of its rows."""

    table: Table
    columns: tuple[str, ...]
    order: tuple[ColumnElement[Any], ...]


def read_rows(session: Session, job: Job, source: Source, **only: str) -> Iterator[Row]:
    """The rows of a job; `only` selects those with the given values, such as scope="all"."""
    return chain.from_iterable(read_batches(session, job, source, ROWS_AT_A_TIME, **only))


def read_batches(session: Session, job: Job, source: Source, size: int, **only: str) -> Iterator[list[Row]]:
    """The same in lists of `size` rows. The last may be shorter."""
    columns = source.table.c
    statement = (
        select(*(columns[name] for name in source.columns))
        .where(columns.job_id == job.id, *(columns[name] == value for name, value in only.items()))
        .order_by(*source.order)
        .execution_options(yield_per=size)
    )
    for rows in session.execute(statement).partitions():
        yield [dict(zip(source.columns, row, strict=True)) for row in rows]


def in_order(column: ColumnElement[Any], names: Iterable[str]) -> ColumnElement[Any]:
    """Sorts a column by the position of its value among the names."""
    return case({name: i for i, name in enumerate(names)}, value=column)
