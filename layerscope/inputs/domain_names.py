"""Turns the values of a domain field, and names of files, into names of domains."""

import json
import re
import unicodedata
from typing import Any

from layerscope.inputs.records import UnreadableInputError
from layerscope.names import NAME

MOST_DOMAINS = 1000  # values that are remembered; a service accepts fewer domains
LONGEST_NAME = 64


class NamesOfDomains:
    """Gives each value a name of its own.

    `renamed` contains the values whose name is different: accents are removed, "C++" becomes "Cpp" and "C#"
    "Csharp", and all other characters that are not allowed become "_". If two values would get the same name,
    the later one gets a number.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self.renamed: dict[str, str] = {}

    def name_of(self, value: Any) -> str | None:
        """The name for a value. None if it cannot be a domain: it is no label, or blank, or too long.

        Raises: UnreadableInputError if there are too many values.
        """
        label = value if isinstance(value, str) else _label(value)
        if label is None or not label.strip() or len(label) > LONGEST_NAME:
            return None
        if label not in self._names:
            if len(self._names) >= MOST_DOMAINS:
                raise UnreadableInputError(
                    f"There are more than {MOST_DOMAINS:,} different domains. Name the field of the domain.",
                    "domain",
                )
            self._names[label] = name = self._new_name(label)
            self._taken.add(name)
            if name != label:
                self.renamed[label] = name
        return self._names[label]

    def _new_name(self, label: str) -> str:
        base = label if NAME.fullmatch(label) else _allowed(label)
        name, number = base, 2
        while name in self._taken:
            ending = f"_{number}"
            name, number = base[: LONGEST_NAME - len(ending)] + ending, number + 1
        return name


def _label(value: Any) -> str | None:
    return json.dumps(value) if isinstance(value, int | float) else None


def _allowed(label: str) -> str:
    without_accents = "".join(
        character
        for character in unicodedata.normalize("NFKD", label)
        if not unicodedata.combining(character)
    )
    spelled = without_accents.strip().replace("+", "p").replace("#", "sharp")
    return re.sub(r"[^A-Za-z0-9._-]", "_", spelled)[:LONGEST_NAME]
