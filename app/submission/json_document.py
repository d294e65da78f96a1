"""A submission: from the bytes of a JSON body to a draft and its texts, everything checked."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import InputError, InvalidRequest, LimitExceeded
from app.jobs.store import Draft, PostedText
from app.schemas import Input, JobRequest, Options
from app.settings import Settings
from app.submission.strict_json import InputErrors, parse, pointer_to
from layerscope.names import DEFAULT_DOMAIN

DOMAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
BAD_DOMAIN = "a domain's name is at most 64 of A-Z a-z 0-9 . _ -"


@dataclass(frozen=True)
class Domain:
    name: str
    path: tuple[str | int, ...]
    texts: list[Any]


def read_submission(
    body: bytes, key: str | None, models: Mapping[str, int | None], settings: Settings
) -> tuple[Draft, list[PostedText]]:
    """The draft and its (domain, text) pairs in the order received; `models` holds each one's most tokens.

    Raises: InvalidRequest, LimitExceeded.
    """
    value, errors = parse(body, settings.json_depth_limit), InputErrors()
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", [InputError("", "must be an object")])
    request = _read_request(value, errors)
    domains = list(_domains(value["texts"], errors)) if "texts" in value else []
    _check_limits(domains, settings)
    for domain in domains:
        _check_texts(domain, settings.text_limit_bytes, errors)
    model = _choose_model(request, models, errors) if request else None
    if request and request.options.analyses and "block" not in request.options.components:
        errors.add("need the component `block`", "options", "analyses")
    if request and request.options.paired:
        _check_pairs(domains, errors)
    errors.check()
    assert request is not None
    assert model is not None
    draft = Draft(model, request.name, request.options.model_dump(), key)
    return draft, [(domain.name, text) for domain in domains for text in domain.texts]


def read_head(query: Mapping[str, str], key: str | None, models: Mapping[str, int | None]) -> Draft:
    """The draft of a submission whose texts come as a stream: its model and name stand in the query.

    Raises: InvalidRequest.
    """
    errors = InputErrors("?")
    for name in query.keys() - {"model", "name"}:
        errors.add("unknown; known are model, name", name)
    request = _read_request(
        {"texts": [], **{k: v for k, v in query.items() if k in ("model", "name")}}, errors
    )
    model = _choose_model(request, models, errors) if request else None
    errors.check()
    assert request is not None
    assert model is not None
    return Draft(model, request.name, request.options.model_dump(), key)


def _read_request(value: dict[str, Any], errors: InputErrors) -> JobRequest | None:
    value = _without_unknown(value, JobRequest, errors)
    if isinstance(value.get("options"), dict):
        value["options"] = _without_unknown(value["options"], Options, errors, "options")
    try:
        return JobRequest.model_validate(value)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_context=False, include_input=False):
            errors.add(sentence(error), *error["loc"])
        return None


def _without_unknown(
    value: dict[str, Any], model: type[Input], errors: InputErrors, *path: str
) -> dict[str, Any]:
    """Taken out by hand, since pydantic would make a long story of each of a million."""
    for name in value:
        if name not in model.model_fields:
            errors.add(f"unknown; known are {', '.join(model.model_fields)}", *path, name)
    return {name: member for name, member in value.items() if name in model.model_fields}


def sentence(error: ErrorDetails) -> str:
    """What pydantic says, without its marks and Python's words."""
    return (
        "must be an object" if error["type"] == "model_type" else error["msg"].removeprefix("Value error, ")
    )


def _domains(texts: Any, errors: InputErrors) -> Iterator[Domain]:
    if isinstance(texts, list):
        yield Domain(DEFAULT_DOMAIN, ("texts",), texts)
    elif isinstance(texts, dict):
        if not texts:
            errors.add("holds no text", "texts")
        for name, members in texts.items():
            if isinstance(members, list):
                yield Domain(name, ("texts", name), members)
            else:
                errors.add("must be a list of texts", "texts", name)
    else:
        errors.add("must be an object of lists by domain, or a list", "texts")


def _check_pairs(domains: list[Domain], errors: InputErrors) -> None:
    if len(domains) == 1:
        errors.add("needs two domains or more", "options", "paired")
    for domain in domains[1:]:
        if len(domain.texts) != len(domains[0].texts):
            sizes = [f"{one.name} has {len(one.texts)}" for one in (domains[0], domain)]
            errors.add(f"needs domains of equally many texts: {', '.join(sizes)}", "options", "paired")
            return


def _check_limits(domains: list[Domain], settings: Settings) -> None:
    limit = settings.domains_per_job_limit
    if len(domains) > limit:
        raise over_limit(f"A job of {len(domains)} domains", f"{limit}", "domains_per_job_limit")
    texts, limit = sum(len(domain.texts) for domain in domains), settings.texts_per_job_limit
    if texts > limit:
        raise over_limit(f"A job of {texts} texts", f"{limit}", "texts_per_job_limit")


def over_limit(what: str, limit: str, setting: str, *path: str | int) -> LimitExceeded:
    detail = f"{what} is over the limit of {limit} (LAYERSCOPE_{setting.upper()})."
    return LimitExceeded(detail, [InputError(pointer_to(*path), f"over {limit}")] if path else [])


def _check_texts(domain: Domain, limit_bytes: int, errors: InputErrors) -> None:
    if not DOMAIN.fullmatch(domain.name):
        errors.add(BAD_DOMAIN, *domain.path)
    if not domain.texts:
        errors.add("holds no text", *domain.path)
    for index, text in enumerate(domain.texts):
        wrong = wrong_with(text)
        if wrong is not None:
            errors.add(wrong, *domain.path, index)
        elif len(text) * 4 > limit_bytes and len(text.encode()) > limit_bytes:
            limit = f"{limit_bytes} bytes of UTF-8"
            raise over_limit("A text", limit, "text_limit_bytes", *domain.path, index)


def wrong_with(text: Any) -> str | None:
    if not isinstance(text, str):
        return "must be a string"
    if not text or text.isspace():
        return "is empty or only white space"
    if "\0" in text:
        return "holds a NUL character, which can't be stored"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no character"
    return None


def _choose_model(request: JobRequest, models: Mapping[str, int | None], errors: InputErrors) -> str | None:
    names = ", ".join(models)
    name = next(iter(models)) if request.model is None and len(models) == 1 else request.model
    if name is None:
        errors.add(f"must be named, as there is more than one: {names}", "model")
    elif name not in models:
        errors.add(f"is not configured; there are: {names}", "model")
    else:
        _check_tokens(request.options, models[name] or 2**31, errors)
    return name


def _check_tokens(options: Options, most: int, errors: InputErrors) -> None:
    limit = options.max_tokens or most
    if limit > most:
        errors.add(f"the model reads at most {most} tokens", "options", "max_tokens")
    if (options.window or 0) > min(limit, most):
        errors.add(f"at most {min(limit, most)} tokens of a text count", "options", "window")
