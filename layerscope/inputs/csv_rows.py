"""Reads the rows of a CSV file."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain

from layerscope.inputs.decoding import LONGEST
from layerscope.inputs.records import InputRow, UnreadableInputError

DELIMITERS = (",", ";", "\t")


def csv_rows(name: str, lines: Iterable[str]) -> Iterator[InputRow]:
    """A row for each record below the header. The delimiter is the one that gives the header the most fields.

    A line ends with LF, CR LF, or CR alone, as some spreadsheets write it.

    Raises: UnreadableInputError if there is no header, or if quotation marks are wrong.
    """
    csv.field_size_limit(LONGEST)
    remaining = (part for line in lines for part in io.StringIO(line, newline=""))
    first = next(remaining, "")
    if not first.strip():
        raise UnreadableInputError(
            f"{name} has no header: its first line must contain the names of its fields."
        )
    delimiter = max(DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign))))
    reader = csv.reader(chain([first], remaining), delimiter=delimiter, strict=True)
    try:
        header = next(reader)
        if len(set(header)) < len(header):
            repeated = next(field for field in header if header.count(field) > 1)
            raise UnreadableInputError(f"{name} has two fields named {repeated!r}: rename one of them.")
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _row(f"line {line}", header, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableInputError(f"{name}, line {reader.line_num}: the CSV is invalid: {error}.") from error


def _row(place: str, header: list[str], cells: list[str]) -> InputRow:
    if len(cells) != len(header):
        return InputRow(
            place, None, error=f"must have {len(header)} cells like the header, but has {len(cells)}"
        )
    return InputRow(place, dict(zip(header, cells, strict=True)))
