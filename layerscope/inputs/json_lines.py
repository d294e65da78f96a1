"""Reads JSON Lines, and finds out whether a text is JSON Lines or one JSON document."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from layerscope.inputs.fields import TEXT_FIELDS
from layerscope.inputs.json_values import parse_json
from layerscope.inputs.records import InputRow

HEAD_PIECES = 16  # of decoded text, in which the first line must end


def json_line_rows(lines: Iterable[str]) -> Iterator[InputRow]:
    """A row for each line that is not blank."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"line {number}"
            try:
                yield InputRow(place, parse_json(line))
            except ValueError as error:
                yield InputRow(place, None, error=f"is not JSON: {error}")


def is_json_lines(pieces: Iterator[str], text_field: str | None) -> tuple[bool, Iterator[str]]:
    """Whether a text that begins like JSON has one value per line; and the whole text."""
    taken: list[str] = []
    for piece in islice(pieces, HEAD_PIECES):
        taken.append(piece)
        if "\n" in "".join(taken).lstrip():
            break
    first, _, rest = "".join(taken).lstrip().partition("\n")
    return _is_line(first, rest, text_field), chain(taken, pieces)


def _is_line(first: str, rest: str, text_field: str | None) -> bool:
    try:
        value = parse_json(first)
    except ValueError:
        return False
    if isinstance(value, Mapping):
        return _is_record(value, text_field) or rest.lstrip().startswith("{")
    return not isinstance(value, list) or rest.lstrip().startswith("[")


def _is_record(value: Mapping[str, Any], text_field: str | None) -> bool:
    """Not an object with a list of texts for each domain."""
    if text_field in value:
        return True
    return any(_is_text(value[name]) for name in TEXT_FIELDS if name in value)


def _is_text(value: Any) -> bool:
    if isinstance(value, list) and value:
        is_message = isinstance(value[0], Mapping) and "role" in value[0]
        return is_message or isinstance(value[0], int)
    return isinstance(value, str)
