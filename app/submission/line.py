"""Reads one line of a stream."""

import json
from typing import Any

from app.jobs.store import StoredText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.json_size import check_values
from app.submission.stream_parameters import LineParameters, StreamRequest
from app.submission.strict_json import LARGE_BYTES, InvalidJson, parse
from app.submission.text_values import FIELDS_OF_TEXT, FORMS, TextValue, read_value, wrong_forms
from layerscope.names import DEFAULT_DOMAIN, TEXT_FORMS, OnInvalid, TextForm
from layerscope.text_forms import Mistake, pair_mistake, text_mistake
from layerscope.unknown_names import unknown

FIELDS = ("domain", *FIELDS_OF_TEXT)
OTHER_FIELDS = "For lines with other fields, name those to use: ?text=FIELD&domain=FIELD"
WHOLE_DOCUMENT = "is a member of a JSON document: send that with the header 'Content-Type: application/json'"
KNOWN, PLAIN = frozenset(FIELDS), frozenset(("domain", "text"))


class LineErrors:
    """Adds the errors of a line, with its number."""

    def __init__(self, number: int, errors: InputErrors) -> None:
        self.number, self._errors = number, errors
        self.found = False

    def add(self, wrong: str | None, *path: str | int) -> None:
        if wrong is not None:
            self.found = True
            self._errors.add(f"line {self.number}: {wrong}", self.number, *path)


def read_line(
    number: int, line: bytes, settings: Settings, request: StreamRequest, errors: InputErrors
) -> StoredText | None:
    """The text of a line; None if the line has errors.

    With `on_invalid=fail`, a line whose text is invalid becomes a text with an error.

    Raises: LimitExceeded if the text is too large.
    """
    of_line = LineErrors(number, errors)
    value = _read_object(line, settings, request.lines, of_line)
    if value is None:
        return None
    if value.keys() <= PLAIN and not request.lines.names_fields and (plain := _plain(value, settings)):
        return plain
    domain = _domain(value, request.lines, of_line)
    text, error = _text(number, value, settings, request, of_line)
    pair = _pair(value, request.lines, of_line)
    if of_line.found:
        return None
    return StoredText(domain, text.text, pair, text.form, error)


def _read_object(
    line: bytes, settings: Settings, lines: LineParameters, errors: LineErrors
) -> dict[str, Any] | None:
    if len(line) > LARGE_BYTES:
        check_values(line, f"Line {errors.number}", settings)
    try:
        value = parse(line, settings.json_depth_limit)
    except InvalidJson as error:
        errors.add(error.detail, *error.path)
        return None
    if not isinstance(value, dict):
        errors.add('must be an object such as {"domain": "cpp", "text": "int i;"}')
        return None
    if not value.keys() <= KNOWN and not lines.names_fields:
        for name in value:
            if name == "texts":
                errors.add(WHOLE_DOCUMENT, name)
            elif name not in KNOWN:
                errors.add(f"{unknown('field', name, FIELDS)}. {OTHER_FIELDS}", name)
    return value


def _plain(value: dict[str, Any], settings: Settings) -> StoredText | None:
    """The text of a valid line without other fields: most lines of a stream, which are read fast."""
    domain, text = value.get("domain", DEFAULT_DOMAIN), value.get("text")
    if rules.domain_error(domain) or text_mistake(text) or rules.is_too_large(text or "", settings):
        return None
    return StoredText(domain, str(text))


def _domain(value: dict[str, Any], lines: LineParameters, errors: LineErrors) -> str:
    name = lines.domain or "domain"
    if name not in value:
        errors.add("is missing" if lines.domain else None, name)
        return DEFAULT_DOMAIN
    domain = _label(value[name], lines)
    errors.add(rules.domain_error(domain), name)
    return str(domain)


def _pair(value: dict[str, Any], lines: LineParameters, errors: LineErrors) -> str | None:
    name = lines.pair or "pair"
    if name not in value or (lines.names_fields and not lines.pair):
        return None
    pair = _label(value[name], lines)
    errors.add(pair_mistake(pair), name)
    return str(pair)


def _label(value: Any, lines: LineParameters) -> Any:
    """Fields of other people's data are named, and labels in them are often numbers."""
    is_number = isinstance(value, int | float)  # also true and false
    return json.dumps(value) if is_number and lines.names_fields else value


def _text(
    number: int, value: dict[str, Any], settings: Settings, request: StreamRequest, errors: LineErrors
) -> tuple[TextValue, str | None]:
    """The text, and the error with which it fails."""
    form, place = _form(value, request.lines)
    found = _read_text(value, form, place, request)
    if isinstance(found, Mistake):
        wrong, path = found.detail, (place, *found.path)
        reason = found.sentence(form or TextForm.TEXT)
    elif rules.is_too_large(found.text, settings):
        if request.lines.on_invalid == OnInvalid.REFUSE:
            rules.check_text_size(found.text, settings, number, place)
        wrong = reason = f"the text exceeds the limit of {settings.text_limit_bytes} bytes of UTF-8"
        path = (place,)
    else:
        return found, None
    if request.lines.on_invalid == OnInvalid.REFUSE:
        is_missing = place not in value and not request.lines.text
        errors.add(f"{wrong}. {OTHER_FIELDS}" if is_missing else wrong, *path)
    return TextValue("", None), reason


def _form(value: dict[str, Any], lines: LineParameters) -> tuple[str | None, str]:
    """The form of a text, None if there is not exactly one, and the field that contains it."""
    if lines.text:
        return TextForm.TEXT, lines.text
    found = [form for form in TEXT_FORMS if form in value]
    return found[0] if len(found) == 1 else None, found[0] if found else TextForm.TEXT


def _read_text(
    value: dict[str, Any], form: str | None, place: str, request: StreamRequest
) -> TextValue | Mistake:
    if place not in value:
        return Mistake("is missing" if request.lines.text else f"is missing: use one of {FORMS}")
    if form is None:
        return Mistake(wrong_forms(value))
    found = read_value(form, value[place])
    if request.model.chat_template is False and found[1] == TextForm.MESSAGES:
        return Mistake(rules.no_chat_template(request.draft.model))
    return found
