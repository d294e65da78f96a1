"""Reads a submission that is one JSON document."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.jobs.store import Draft, PostedText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.rules import ModelLimits
from app.submission.strict_json import InvalidJson, parse
from layerscope.names import DEFAULT_DOMAIN


@dataclass(frozen=True)
class Domain:
    """The texts of a domain, not yet checked; `path` is the place of their list in the document."""

    name: str
    path: tuple[str | int, ...]
    texts: list[Any]


def read_submission(
    body: bytes, key: str | None, models: ModelLimits, settings: Settings
) -> tuple[Draft, list[PostedText]]:
    """The draft, and its texts in the order received.

    Raises: InvalidRequest, LimitExceeded.
    """
    members, errors = _read_object(body, settings.json_depth_limit), InputErrors()
    request = rules.read_request(members, errors)
    domains = list(_domains(members["texts"], errors)) if "texts" in members else []
    rules.check_counts(sum(len(domain.texts) for domain in domains), len(domains), settings)
    for domain in domains:
        _check_texts(domain, settings, errors)
    model = None
    if request is not None:
        model = rules.choose_model(request, models, errors)
        rules.check_analyses(request.options, errors)
        if request.options.paired:
            rules.check_paired({domain.name: len(domain.texts) for domain in domains}, errors)
    errors.check()
    assert request is not None
    assert model is not None
    draft = Draft(model, request.name, request.options.model_dump(mode="json"), key)
    return draft, [(domain.name, text) for domain in domains for text in domain.texts]


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


def _check_texts(domain: Domain, settings: Settings, errors: InputErrors) -> None:
    wrong = rules.domain_error(domain.name)
    if wrong is not None:
        errors.add(wrong, *domain.path)
    if not domain.texts:
        errors.add("contains no text", *domain.path)
    for index, text in enumerate(domain.texts):
        wrong = rules.text_error(text)
        if wrong is not None:
            errors.add(wrong, *domain.path, index)
        else:
            rules.check_text_size(text, settings, *domain.path, index)
