"""Formats values as cells of CSV and as JSON, piece by piece."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Cell = str | int | float | None

FORMULA_STARTS = "=+-@＝＋－＠\t\r\n"  # a spreadsheet program executes a cell that starts with one of these


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The header and a line for each row, whose values are in the order of the columns."""
    yield csv_line(columns)
    for row in rows:
        yield csv_line(row.values())


def csv_line(cells: Iterable[Cell]) -> str:
    """A line of RFC 4180. An empty cell means no value."""
    return csv_text([[_csv_cell(cell) for cell in cells]])


def csv_text(rows: Iterable[Iterable[Cell]]) -> str:
    """Lines of RFC 4180 from cells that are written as they are: see `safe_cell`."""
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _csv_cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return safe_cell(cell)
    return None if is_missing(cell) else cell


def safe_cell(text: str) -> str:
    """Puts an apostrophe before a text that a spreadsheet program would execute as a formula."""
    first = text.lstrip(" ")[:1]
    return "'" + text if first and first in FORMULA_STARTS else text


def is_missing(cell: Cell) -> bool:
    """Whether a number is NaN or infinite, which means no value."""
    return isinstance(cell, float) and not math.isfinite(cell)


def json_objects(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The items of a JSON array, without its brackets."""
    separator = "\n"
    for row in rows:
        yield separator + json_object(row)
        separator = ",\n"
    yield "\n"


def json_object(row: Mapping[str, Any]) -> str:
    """JSON has no NaN: a missing value is null."""
    values = {name: None if is_missing(value) else value for name, value in row.items()}
    return json.dumps(values, allow_nan=False)
