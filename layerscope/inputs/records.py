"""What the readers yield."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class UnreadableInputError(Exception):
    """An input cannot be read. The message names the file, the place, the cause and the remedy.

    `field` is "text" or "domain" if naming this field may help.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A text in one of the forms of `TextForm`, with its domain and perhaps a pair."""

    domain: str
    form: str
    value: Any
    pair: str | None = None

    def to_line(self) -> Mapping[str, Any]:
        """The object that the service reads as a line of a stream."""
        line = {"domain": self.domain, self.form: self.value}
        return line if self.pair is None else line | {"pair": self.pair}


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row of a file: a text, or an object with fields. `error` is a reason why it cannot be used.

    `place` is "line 3" or "record 3", counted from 1; it is empty if the file is one text. `domain` is the
    member of a JSON object whose list contains the row.
    """

    place: str
    value: Any
    domain: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class UnusableRow:
    """A row that cannot be measured, and why: "has no text". `domain`: what names its domain, if anything."""

    file: str
    place: str
    reason: str
    domain: Any = field(default=None, compare=False)

    @property
    def where(self) -> str:
        return ", ".join(filter(None, (self.file, self.place)))

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
