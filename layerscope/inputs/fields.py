"""Which fields of the rows of a file contain the text, the domain and the pair."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerscope.inputs.records import InputRow, UnreadableInputError
from layerscope.names import TEXT_FORMS, TextForm

TEXT_FIELDS = ("text", "content", "prompt", "messages", "input_ids", "token_ids")
DOMAIN_FIELDS = ("domain", "label", "category", "source", "language")
PAIR_FIELD = "pair"
SAMPLE = 100  # rows from which the fields are guessed
MOST_VALUES = 16  # of a field in the sample that can be the domain: a job has at most as many domains
SHOWN_FIELDS = 12
IDS_FIELDS = ("input_ids", TextForm.TOKEN_IDS.value)


@dataclass(frozen=True)
class FieldNames:
    """None: there is no such field, or it is guessed. An empty name says that there is none."""

    text: str | None = None
    domain: str | None = None
    pair: str | None = None

    def candidates(self) -> set[str]:
        """All fields that may be read."""
        named = {name for name in (self.text, self.domain, self.pair) if name}
        texts = set() if self.text else {*TEXT_FIELDS}
        domains = set() if self.domain is not None else {*DOMAIN_FIELDS}
        return named | texts | domains | (set() if self.pair is not None else {PAIR_FIELD})


def choose_fields(file: str, sample: Sequence[InputRow], wanted: FieldNames) -> FieldNames:
    """The fields of a file, from its first rows. Rows that are not objects have none.

    Raises: UnreadableInputError if a wanted field, or one with the text, does not exist.
    """
    rows = [row.value for row in sample if isinstance(row.value, Mapping)]
    if not rows:
        return FieldNames()
    for role, name in (("text", wanted.text), ("domain", wanted.domain), ("pair", wanted.pair)):
        if name and not any(name in row for row in rows):
            raise UnreadableInputError(f"{file} has no field {name!r}. {_list_fields(rows)}", role)
    return FieldNames(
        wanted.text or _guess_text(file, rows),
        _guess_domain(sample) if wanted.domain is None else wanted.domain or None,
        _guess_pair(rows) if wanted.pair is None else wanted.pair or None,
    )


def _guess_text(file: str, rows: Sequence[Mapping[str, Any]]) -> str:
    counts = {name: sum(row.get(name) is not None for row in rows) for name in TEXT_FIELDS}
    best = max(TEXT_FIELDS, key=lambda name: counts[name])
    if not counts[best]:
        names = ", ".join(TEXT_FIELDS)
        raise UnreadableInputError(f"No field of {file} is named {names}. {_list_fields(rows)}", "text")
    return best


def _guess_domain(sample: Sequence[InputRow]) -> str | None:
    """None if the rows are in lists by domain: the name of the list is the domain."""
    rows = [row.value for row in sample if isinstance(row.value, Mapping) and row.domain is None]
    names = DOMAIN_FIELDS if rows else ()
    return next((name for name in names if _can_be_domain([row.get(name) for row in rows])), None)


def _can_be_domain(values: Sequence[Any]) -> bool:
    """Whether at least half of the rows have a label there, and few different ones."""
    labels = [value for value in values if isinstance(value, str | int | float)]
    return 2 * len(labels) >= len(values) and len(set(labels)) <= MOST_VALUES


def _guess_pair(rows: Sequence[Mapping[str, Any]]) -> str | None:
    return PAIR_FIELD if any(row.get(PAIR_FIELD) is not None for row in rows) else None


def _list_fields(rows: Iterable[Mapping[str, Any]]) -> str:
    names = list(Counter(name for row in rows for name in row))
    more = f" and {len(names) - SHOWN_FIELDS} more" if len(names) > SHOWN_FIELDS else ""
    return f"Its fields are {', '.join(names[:SHOWN_FIELDS])}{more}."


def text_of(row: Mapping[str, Any], field: str, *, is_guessed: bool) -> tuple[str, Any]:
    """The field with the text of a row, and its value, which is None if it is missing.

    Lines in the format of the service may have different forms, each with its own field.
    """
    if row.get(field) is None and is_guessed and field in TEXT_FORMS:
        other = [form for form in TEXT_FORMS if row.get(form) is not None]
        if len(other) == 1:
            return other[0], row[other[0]]
    return field, row.get(field)
