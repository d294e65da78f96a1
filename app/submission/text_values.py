"""Reads the value of a text: a string, token ids or messages."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.jobs.store import StoredText
from app.settings import Settings
from app.submission import rules
from layerscope.names import TEXT_FORMS, TextForm
from layerscope.text_forms import MESSAGE_FIELDS, Mistake, form_of, mistake_in, pair_mistake, text_mistake
from layerscope.unknown_names import unknown

FORMS = ", ".join(TEXT_FORMS)
FIELDS_OF_TEXT = (*TEXT_FORMS, "pair")
RECORDS = (
    "Records with other fields are accepted as a file (curl -F file=@texts.json), and as lines of a stream "
    "with ?text=FIELD&domain=FIELD"
)


class TextValue(NamedTuple):
    """A valid text as it is stored; `form` is None for a string."""

    text: str
    form: str | None


def read_value(form: str, value: Any) -> TextValue | Mistake:
    """The text of this form, or what is wrong with it. Its size is not checked."""
    mistake = mistake_in(form, value, text_mistake)
    if mistake is not None:
        return mistake
    if form == TextForm.TEXT:
        return TextValue(value, None)
    if form == TextForm.MESSAGES:  # equal messages are stored equally
        value = [{name: message[name] for name in MESSAGE_FIELDS} for message in value]
    return TextValue(json.dumps(value, ensure_ascii=False, separators=(",", ":")), form)


def read_item(item: Any, domain: str, settings: Settings, *path: str | int) -> StoredText | Mistake:
    """A text of a JSON document: a string, or an object with exactly one form and perhaps a pair.

    Raises: LimitExceeded if it is too large.
    """
    if isinstance(item, str):
        wrong = text_mistake(item)
        return Mistake(wrong) if wrong else _sized(domain, TextValue(item, None), None, settings, *path)
    if not isinstance(item, dict):
        return Mistake(f"must be a string, or an object with one of {FORMS}")
    for name in item:
        if name not in FIELDS_OF_TEXT:
            return Mistake(f"{unknown('field', name, FIELDS_OF_TEXT)}. {RECORDS}", (name,))
    form = form_of(item)
    if form is None:
        return Mistake(wrong_forms(item))
    value = read_value(form, item[form])
    if isinstance(value, Mistake):
        return Mistake(value.detail, (form, *value.path))
    wrong = pair_mistake(item["pair"]) if "pair" in item else None
    if wrong is not None:
        return Mistake(wrong, ("pair",))
    return _sized(domain, value, item.get("pair"), settings, *path, form)


def wrong_forms(item: Mapping[str, Any]) -> str:
    """What is wrong with an object that has not exactly one form."""
    found = [form for form in TEXT_FORMS if form in item]
    return f"must have only one of {', '.join(found)}" if found else f"must have one of {FORMS}"


def _sized(
    domain: str, value: TextValue, pair: str | None, settings: Settings, *path: str | int
) -> StoredText:
    rules.check_text_size(value.text, settings, *path)
    return StoredText(domain, value.text, pair, value.form)
