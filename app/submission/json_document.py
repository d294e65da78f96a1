"""Reads a submission that is one JSON document."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.jobs.store import Draft, StoredText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.json_size import check_values
from app.submission.rules import KnownModel, KnownModels
from app.submission.strict_json import InvalidJson, parse
from app.submission.text_values import read_item
from layerscope.names import DEFAULT_DOMAIN, TextForm
from layerscope.text_forms import Mistake

SEND_LINES = "For one JSON object in each line, send the header 'Content-Type: application/x-ndjson'"


@dataclass(frozen=True)
class Domain:
    """The texts of a domain; `path` is the place of their list in the document."""

    name: str
    path: tuple[str | int, ...]
    texts: list[Any]


def read_submission(
    body: bytes, key: str | None, models: KnownModels, settings: Settings
) -> tuple[Draft, Iterator[StoredText]]:
    """The draft, and its texts in the order received. All of them have been checked.

    Raises: InvalidRequest, LimitExceeded.
    """
    members, errors = _read_object(body, settings), InputErrors()
    request = rules.read_request(members, errors)
    domains = list(_domains(members["texts"], errors)) if "texts" in members else []
    rules.check_counts(sum(len(domain.texts) for domain in domains), len(domains), settings)
    found = _check_texts(domains, settings, errors)
    model = None
    if request is not None:
        model = rules.choose_model(request, models, errors)
        rules.check_analyses(request.options, errors)
        if request.options.paired and not found.pairs:
            wrong = rules.paired_error({domain.name: len(domain.texts) for domain in domains})
            if wrong is not None:
                errors.add(wrong, "options", "paired")
    if model is not None and models.get(model, KnownModel()).chat_template is False:
        for path in found.messages:
            errors.add(rules.no_chat_template(model), *path, TextForm.MESSAGES)
    errors.check()
    assert request is not None
    assert model is not None
    draft = Draft(model, request.name, request.options.model_dump(mode="json"), key)
    return draft, _stored(domains)


def _read_object(body: bytes, settings: Settings) -> dict[str, Any]:
    check_values(body, "The body", settings, "; send NDJSON instead")
    errors = InputErrors()
    try:
        value = parse(body, settings.json_depth_limit)
    except InvalidJson as error:
        lines = f". {SEND_LINES}" if "Extra data" in error.detail else ""
        errors.add(f"{error.detail}{lines}", *error.path)
    else:
        if isinstance(value, dict):
            return value
        errors.add('must be a JSON object with the texts, such as {"texts": {"cpp": ["int i;"]}}')
    raise errors.to_exception()


def _domains(texts: Any, errors: InputErrors) -> Iterator[Domain]:
    if isinstance(texts, list):
        yield Domain(DEFAULT_DOMAIN, ("texts",), texts)
    elif isinstance(texts, dict):
        if not texts:
            errors.add("contains no text", "texts")
        for name, members in texts.items():
            if isinstance(members, list):
                yield Domain(name, ("texts", name), members)
            else:
                errors.add("must be a list of texts", "texts", name)
    else:
        errors.add("must be a list of texts, or an object with a list of texts for each domain", "texts")


class Found(NamedTuple):
    """What the texts of a document have: a pair, and the places of messages."""

    pairs: bool
    messages: list[tuple[str | int, ...]]


def _check_texts(domains: Iterable[Domain], settings: Settings, errors: InputErrors) -> Found:
    """Checks every text. A checked text takes the place of its object, and strings stay as they are: a second
    list would need more memory than the document."""
    pairs, messages = False, []
    for domain in domains:
        wrong = rules.domain_error(domain.name)
        if wrong is not None:
            errors.add(wrong, *domain.path)
        if not domain.texts:
            errors.add("contains no text", *domain.path)
        for index, item in enumerate(domain.texts):
            text = read_item(item, domain.name, settings, *domain.path, index)
            if isinstance(text, Mistake):
                errors.add(text.detail, *domain.path, index, *text.path)
                continue
            if not isinstance(item, str):
                domain.texts[index] = text
            pairs |= text.pair is not None
            if text.form == TextForm.MESSAGES:
                messages.append((*domain.path, index))
    return Found(pairs, messages)


def _stored(domains: Iterable[Domain]) -> Iterator[StoredText]:
    for domain in domains:
        for item in domain.texts:
            yield StoredText(domain.name, item) if isinstance(item, str) else item
