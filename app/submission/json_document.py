"""Reads a submission that is one JSON document."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.jobs.store import Draft, StoredText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.rules import KnownModel, KnownModels
from app.submission.strict_json import InvalidJson, parse
from app.submission.text_values import read_item
from layerscope.names import DEFAULT_DOMAIN, TextForm
from layerscope.text_forms import Mistake


@dataclass(frozen=True)
class Domain:
    """The texts of a domain, not yet checked; `path` is the place of their list in the document."""

    name: str
    path: tuple[str | int, ...]
    texts: list[Any]


def read_submission(
    body: bytes, key: str | None, models: KnownModels, settings: Settings
) -> tuple[Draft, list[StoredText]]:
    """The draft, and its texts in the order received.

    Raises: InvalidRequest, LimitExceeded.
    """
    members, errors = _read_object(body, settings.json_depth_limit), InputErrors()
    request = rules.read_request(members, errors)
    domains = list(_domains(members["texts"], errors)) if "texts" in members else []
    rules.check_counts(sum(len(domain.texts) for domain in domains), len(domains), settings)
    placed = [text for domain in domains for text in _read_texts(domain, settings, errors)]
    model = None
    if request is not None:
        model = rules.choose_model(request, models, errors)
        rules.check_analyses(request.options, errors)
        if request.options.paired and not any(text.text.pair for text in placed):
            wrong = rules.paired_error({domain.name: len(domain.texts) for domain in domains})
            if wrong is not None:
                errors.add(wrong, "options", "paired")
    if model is not None and models.get(model, KnownModel()).chat_template is False:
        _refuse_messages(model, placed, errors)
    errors.check()
    assert request is not None
    assert model is not None
    draft = Draft(model, request.name, request.options.model_dump(mode="json"), key)
    return draft, [text.text for text in placed]


def _read_object(body: bytes, depth_limit: int) -> dict[str, Any]:
    errors = InputErrors()
    try:
        value = parse(body, depth_limit)
    except InvalidJson as error:
        errors.add(error.detail, *error.path)
    else:
        if isinstance(value, dict):
            return value
        errors.add("must be a JSON object")
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


class PlacedText(NamedTuple):
    """A valid text and its place in the document."""

    text: StoredText
    path: tuple[str | int, ...]


def _read_texts(domain: Domain, settings: Settings, errors: InputErrors) -> Iterator[PlacedText]:
    wrong = rules.domain_error(domain.name)
    if wrong is not None:
        errors.add(wrong, *domain.path)
    if not domain.texts:
        errors.add("contains no text", *domain.path)
    for index, item in enumerate(domain.texts):
        path = (*domain.path, index)
        text = read_item(item, domain.name, settings, *path)
        if isinstance(text, Mistake):
            errors.add(text.detail, *path, *text.path)
        else:
            yield PlacedText(text, path)


def _refuse_messages(model: str, texts: Iterable[PlacedText], errors: InputErrors) -> None:
    for text in texts:
        if text.text.form == TextForm.MESSAGES:
            errors.add(rules.no_chat_template(model), *text.path, TextForm.MESSAGES)
