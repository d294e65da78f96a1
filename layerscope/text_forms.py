"""What a text can be: a string, token ids, or messages; the rules of HTTP interface and library."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from layerscope.names import TEXT_FORMS, TextForm
from layerscope.unknown_names import unknown

LARGEST_ID = 2**31 - 1  # no vocabulary is larger
LONGEST_PAIR = 64  # characters
MESSAGE_FIELDS = ("role", "content")

Path = tuple[str | int, ...]
StringRule = Callable[[object], str | None]  # what is wrong with a string, without a subject


class Mistake(NamedTuple):
    """What is wrong at a place in a text, without a subject: "must be a string"."""

    detail: str
    path: Path = ()

    def sentence(self, form: str) -> str:
        """The mistake as the error of a text in this form."""
        place = "".join(f"/{part}" for part in self.path)
        return f"{form}{place} {self.detail}" if place else f"the text {self.detail}"


def string_mistake(text: object) -> str | None:
    if not isinstance(text, str):
        return "must be a string"
    if not text:
        return "is empty"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair, which is not a character"
    return None


def text_mistake(text: object) -> str | None:
    """The rule of the service, which stores texts in a database."""
    if isinstance(text, str):
        if _is_blank(text):
            return "is empty or contains only white space"
        if "\0" in text:
            return "contains a NUL character, which cannot be stored"
    return string_mistake(text)


def pair_mistake(pair: object) -> str | None:
    wrong = text_mistake(pair)
    if wrong is None and isinstance(pair, str) and len(pair) > LONGEST_PAIR:
        wrong = f"is longer than {LONGEST_PAIR} characters"
    return wrong


def mistake_in(form: str, value: object, rule: StringRule = string_mistake) -> Mistake | None:
    """What is wrong with a text in this form; `rule` is what its string or the contents must obey."""
    if form == TextForm.TOKEN_IDS:
        return _mistake_in_ids(value)
    if form == TextForm.MESSAGES:
        return _mistake_in_messages(value, rule)
    detail = rule(value)
    return Mistake(detail) if detail else None


def form_of(text: Mapping[Any, Any]) -> str | None:
    """The form of a text that is an object; None if it has not exactly one."""
    forms = [form for form in TEXT_FORMS if form in text]
    return forms[0] if len(forms) == 1 else None


def _mistake_in_ids(ids: object) -> Mistake | None:
    if not _is_list(ids):
        return Mistake("must be a list of token ids")
    if not ids:
        return Mistake("is empty")
    if set(map(type, ids)) == {int} and min(ids) >= 0 and max(ids) <= LARGEST_ID:  # fast for millions of ids
        return None
    for place, value in enumerate(ids):
        if not hasattr(value, "__index__") or isinstance(value, bool) or not 0 <= value <= LARGEST_ID:
            return Mistake(f"is not a token id: use a whole number from 0 to {LARGEST_ID}", (place,))
    return None


def _mistake_in_messages(messages: object, rule: StringRule) -> Mistake | None:
    if not _is_list(messages):
        return Mistake("must be a list of messages")
    if not messages:
        return Mistake("is empty")
    for place, message in enumerate(messages):
        if mistake := _mistake_in_message(message, rule):
            return Mistake(mistake.detail, (place, *mistake.path))
    if all(not message["content"] or message["content"].isspace() for message in messages):
        return Mistake("is empty: no message has a content")
    return None


def _mistake_in_message(message: object, rule: StringRule) -> Mistake | None:
    if not isinstance(message, Mapping):
        return Mistake("must be an object with role and content")
    for name in MESSAGE_FIELDS:
        if name not in message:
            return Mistake(f"has no {name}")
    for name in message:
        if name not in MESSAGE_FIELDS:
            return Mistake(unknown("field", str(name), MESSAGE_FIELDS), (name,))
    if wrong := rule(message["role"]):
        return Mistake(wrong, ("role",))
    content = message["content"]
    if wrong := None if isinstance(content, str) and _is_blank(content) else rule(content):
        return Mistake(wrong, ("content",))
    return None


def _is_blank(text: str) -> bool:
    return not text or text.isspace()  # a content may be blank: a template decides what it means


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
