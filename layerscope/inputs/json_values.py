"""Reads the values of a JSON document one by one: a list of texts, or lists of texts by domain."""

import json
from collections.abc import Iterator
from typing import Any

from layerscope.inputs.decoding import LONGEST
from layerscope.inputs.records import InputRow, UnreadableInputError

SPACE = " \t\n\r"


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in value if names.count(name) > 1)
        raise ValueError(f"the field {repeated!r} occurs more than once")
    return value


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises: ValueError with the reason."""
    try:
        return DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def json_rows(name: str, pieces: Iterator[str]) -> Iterator[InputRow]:
    """The items of a list, or of each list of an object, whose members are domains.

    Raises: UnreadableInputError if the document is not JSON, or has another structure.
    """
    document = _Document(name, pieces)
    match document.next_character():
        case "[":
            for number, value in enumerate(document.items(), 1):
                yield InputRow(f"record {number}", value)
        case "{":
            for domain in document.members():
                if document.next_character() != "[":
                    raise UnreadableInputError(f"{name}: the member {domain!r} must be a list of texts.")
                for number, value in enumerate(document.items(), 1):
                    yield InputRow(f"{domain} record {number}", value, domain)
        case _:
            raise document.error(
                "a list of texts, or an object with a list of texts for each domain, is expected"
            )
    document.expect_end()


class _Document:
    """A JSON text of which only a part is in memory."""

    def __init__(self, name: str, pieces: Iterator[str]) -> None:
        self._name, self._pieces = name, pieces
        self._buffer, self._position, self._dropped = "", 0, 0
        self._is_complete = False

    def error(self, reason: str) -> UnreadableInputError:
        place = self._dropped + self._position
        return UnreadableInputError(
            f"{self._name} is not a JSON file of texts: at character {place:,}: {reason}."
        )

    def next_character(self) -> str:
        """The next one that is not white space, which is not taken; empty at the end."""
        while True:
            while self._position < len(self._buffer) and self._buffer[self._position] in SPACE:
                self._position += 1
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._fill(1):
                return ""

    def items(self) -> Iterator[Any]:
        """The items of a list that begins here."""
        self._take("[")
        if self.next_character() == "]":
            self._position += 1
            return
        while True:
            self.next_character()
            yield self._value()
            if self._take(",", "]") == "]":
                return

    def members(self) -> Iterator[str]:
        """The names of an object that begins here. The caller reads the value of each."""
        self._take("{")
        if self.next_character() == "}":
            self._position += 1
            return
        while True:
            if self.next_character() != '"':
                raise self.error("the name of a domain is expected")
            yield str(self._value(taking=":"))
            if self._take(",", "}") == "}":
                return

    def expect_end(self) -> None:
        if self.next_character():
            raise self.error("the document continues after its end")

    def _take(self, *characters: str) -> str:
        found = self.next_character()
        if found not in characters or not found:
            raise self.error(f"{' or '.join(map(repr, characters))} is expected")
        self._position += 1
        return found

    def _value(self, taking: str = "") -> Any:
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._position)
                is_whole = end < len(self._buffer) or not isinstance(value, int | float) or self._is_complete
            except json.JSONDecodeError as error:
                is_whole = False
                if self._is_complete:
                    raise self.error(error.msg) from error
            except RecursionError as error:
                raise self.error("it is nested too deeply") from error
            except ValueError as error:
                raise self.error(str(error)) from error
            if is_whole:
                break
            if len(self._buffer) - self._position > LONGEST:
                raise self.error(f"it is not JSON, or a text has more than {LONGEST:,} characters")
            self._fill(len(self._buffer) - self._position)
        self._position = end
        if taking:
            self._take(taking)
        return value

    def _fill(self, size: int) -> bool:
        """Read at least `size` more characters, if there are so many."""
        taken = [self._buffer[self._position :]]
        self._dropped, self._position = self._dropped + self._position, 0
        read = 0
        while read < size:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_complete = True
                break
            taken.append(piece)
            read += len(piece)
        self._buffer = "".join(taken)
        return read > 0
