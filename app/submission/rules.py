"""What a valid submission is. The JSON document and the NDJSON stream are checked by the same rules.

A rule for one value returns what is wrong with it, without a subject ("must be a string"), or None. Rules for
a whole request add to `InputErrors`. Limits raise LimitExceeded at once.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import InputError, LimitExceeded
from app.schemas import INTEGER_LIMIT, Input, JobRequest, Options
from app.settings import Settings
from app.submission.input_errors import InputErrors, pointer_to
from layerscope.names import NAME, NAME_RULE, Component


class KnownModel(NamedTuple):
    """What is known of a configured model before a worker has loaded it, or after: None is unknown."""

    max_tokens: int | None = None  # the largest number of tokens that it can read
    chat_template: bool | None = None  # whether it has one


KnownModels = Mapping[str, KnownModel]


def domain_error(name: Any) -> str | None:
    if not isinstance(name, str):
        return "must be a string"
    return None if NAME.fullmatch(name) else f"is not a valid domain name: use {NAME_RULE}"


def is_too_large(text: str, settings: Settings) -> bool:
    """Token ids and messages have the size of their JSON, as it is stored."""
    limit = settings.text_limit_bytes
    return len(text) * 4 > limit and len(text.encode()) > limit  # a character has at most 4 bytes


def check_text_size(text: str, settings: Settings, *path: str | int) -> None:
    """Raises: LimitExceeded."""
    if is_too_large(text, settings):
        what, limit = f"The text at {pointer_to(*path)}", f"{settings.text_limit_bytes} bytes of UTF-8"
        raise over_limit(what, limit, "text_limit_bytes", *path)


def check_counts(texts: int, domains: int, settings: Settings) -> None:
    """Raises: LimitExceeded."""
    if domains > settings.domains_per_job_limit:
        raise over_limit(
            "The number of domains", f"{settings.domains_per_job_limit}", "domains_per_job_limit"
        )
    if texts > settings.texts_per_job_limit:
        raise over_limit("The number of texts", f"{settings.texts_per_job_limit}", "texts_per_job_limit")


def over_limit(what: str, limit: str, setting: str, *path: str | int) -> LimitExceeded:
    detail = f"{what} exceeds the limit of {limit} (setting LAYERSCOPE_{setting.upper()})."
    return LimitExceeded(detail, [InputError(pointer_to(*path), f"exceeds {limit}")] if path else [])


def paired_error(texts_of_domains: Mapping[str, int]) -> str | None:
    """For the option `paired`, by which the k-th texts of all domains belong together."""
    counts = list(texts_of_domains.items())
    if len(counts) == 1:
        return "requires at least two domains"
    for name, texts in counts[1:]:
        first, expected = counts[0]
        if texts != expected:
            found = f"{first} has {expected}, {name} has {texts}"
            return f"requires the same number of texts in every domain: {found}"
    return None


def no_chat_template(model: str) -> str:
    return f"requires a chat template, which the model {model} does not have: use text or token_ids"


def read_request(members: Mapping[str, Any], errors: InputErrors) -> JobRequest | None:
    """All fields except `texts`, whose value is not checked here; None if there are errors."""
    known = _known_fields(members, JobRequest, errors)
    if isinstance(known.get("options"), dict):
        known["options"] = _known_fields(known["options"], Options, errors, "options")
    try:
        return JobRequest.model_validate(known)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_context=False, include_input=False):
            errors.add(message(error), *error["loc"])
        return None


def _known_fields(
    members: Mapping[str, Any], model: type[Input], errors: InputErrors, *path: str
) -> dict[str, Any]:
    """Reports unknown fields. Pydantic would build a long message for each of a million."""
    fields = model.model_fields  # looking them up takes a microsecond
    options = Options.model_fields if model is JobRequest else {}
    for name in members:
        if name in options:
            errors.add(f'belongs in the member options: {{"options": {{"{name}": …}}}}', *path, name)
        elif name not in fields:
            errors.add_unknown("field", fields, *path, name)
    return {name: member for name, member in members.items() if name in fields}


def message(error: ErrorDetails) -> str:
    """Pydantic's message in the terms of JSON."""
    if error["type"] == "model_type":
        return "must be an object"
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "extra_forbidden":
        return "is not a known parameter"
    return error["msg"].removeprefix("Value error, ")


def choose_model(request: JobRequest, models: KnownModels, errors: InputErrors) -> str | None:
    """The model of the request, whose options must not exceed what it can read; None if there is none."""
    names = ", ".join(models)
    name = next(iter(models)) if request.model is None and len(models) == 1 else request.model
    if name is None:
        errors.add(f"is required because several models are configured: {names}", "model")
    elif name not in models:
        errors.add(f"is not a configured model; the configured models are {names}", "model")
    else:
        _check_tokens(request.options, models[name].max_tokens or INTEGER_LIMIT, errors)
    return name


def _check_tokens(options: Options, readable: int, errors: InputErrors) -> None:
    limit = options.max_tokens or readable
    if limit > readable:
        errors.add(
            f"must be at most {readable}, the number of tokens that the model can read",
            "options",
            "max_tokens",
        )
    counted = min(limit, readable)
    if (options.window or 0) > counted:
        errors.add(f"must be at most {counted}, the largest number of tokens of a text", "options", "window")


def check_analyses(options: Options, errors: InputErrors) -> None:
    if options.analyses and Component.BLOCK not in options.components:
        errors.add("requires the component `block`", "options", "analyses")
