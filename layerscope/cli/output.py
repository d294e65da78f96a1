"""Prints results on stdout and messages on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def print_line(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")


def print_note(text: str) -> None:
    """A message for the person at the terminal."""
    sys.stderr.write("\n".join(map(printable, text.split("\n"))) + "\n")


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_states(states: Iterable["BaseModel"]) -> None:
    print_json([state.model_dump(mode="json") for state in states])


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns that are aligned with spaces. Numbers are aligned to the right."""
    given = list(rows)
    table = [list(header), *([_cell(cell) for cell in row] for row in given)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    is_number = [
        bool(given) and all(isinstance(row[column], int | float | None) for row in given)
        for column in range(len(header))
    ]
    for row in table:
        cells = zip(row, widths, is_number, strict=True)
        print_line("  ".join(cell.rjust(w) if right else cell.ljust(w) for cell, w, right in cells).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))


def printable(text: str) -> str:
    """Control characters could change what a terminal shows."""
    return "".join(character if character.isprintable() or character == "\t" else "?" for character in text)
