"""Reads a submission that is a stream with one text per line. The stream is never held as a whole."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.errors import InvalidRequest
from app.jobs.store import Draft, PostedText
from app.settings import Settings
from app.submission import rules
from app.submission.input_errors import REPORTED_ERRORS, InputErrors
from app.submission.rules import ModelLimits, over_limit
from app.submission.strict_json import InvalidJson, parse
from layerscope.names import DEFAULT_DOMAIN

ESCAPED_BYTES = 6  # the most bytes of JSON for one byte of a text: \u0041
PARAMETERS = ("model", "name")
FIELDS = ("domain", "text", "pair")


def read_parameters(query: Mapping[str, str], key: str | None, models: ModelLimits) -> Draft:
    """The draft, whose model and name are query parameters.

    Raises: InvalidRequest.
    """
    errors = InputErrors("?")
    for name in query.keys() - set(PARAMETERS):
        errors.add(f"is not a known parameter; the parameters are {', '.join(PARAMETERS)}", name)
    members = {name: value for name, value in query.items() if name in PARAMETERS}
    request = rules.read_request({"texts": [], **members}, errors)
    model = None if request is None else rules.choose_model(request, models, errors)
    errors.check()
    assert request is not None
    assert model is not None
    return Draft(model, request.name, request.options.model_dump(mode="json"), key)


def read_texts(chunks: Iterable[bytes], settings: Settings) -> Iterator[PostedText]:
    """The texts, each as soon as its line has arrived.

    After the first error no more texts are yielded, but the next lines are checked for more errors.

    Raises: InvalidRequest at the end, or after REPORTED_ERRORS errors; LimitExceeded.
    """
    errors, domains, texts = InputErrors(), set[str](), 0
    for number, line in _lines(chunks, settings):
        posted = _read_line(number, line, settings, errors)
        if errors.count >= REPORTED_ERRORS:
            break
        if posted is None or errors.count:
            continue
        texts += 1
        domains.add(posted[0])
        rules.check_counts(texts, len(domains), settings)
        yield posted
    errors.check()
    if not texts:
        raise InvalidRequest("The body contains no text.")


def _lines(chunks: Iterable[bytes], settings: Settings) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    longest = ESCAPED_BYTES * settings.text_limit_bytes + 1024
    number, read, rest = 0, 0, b""
    for chunk in chunks:
        read += len(chunk)
        if read > settings.ndjson_limit_bytes:
            raise over_limit("The body", f"{settings.ndjson_limit_bytes} bytes", "ndjson_limit_bytes")
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > longest:
            raise over_limit(f"Line {number + 1}", f"{longest} bytes", "text_limit_bytes", number + 1)
    if rest.strip():
        yield number + 1, rest


def _read_line(number: int, line: bytes, settings: Settings, errors: InputErrors) -> PostedText | None:
    """The text of a line; meaningless if the line has errors."""
    value = _read_object(number, line, settings, errors)
    if value is None:
        return None
    domain: Any = value.get("domain", DEFAULT_DOMAIN)
    text: Any = value.get("text")
    _report(rules.domain_error(domain), errors, number, "domain")
    if not _report(rules.text_error(text), errors, number, "text"):
        rules.check_text_size(text, settings, number, "text")
    if "pair" not in value:
        return domain, text
    _report(rules.pair_error(value["pair"]), errors, number, "pair")
    return domain, text, value["pair"]


def _read_object(number: int, line: bytes, settings: Settings, errors: InputErrors) -> dict[str, Any] | None:
    try:
        value = parse(line, settings.json_depth_limit)
    except InvalidJson as error:
        _report(error.detail, errors, number, *error.path)
        return None
    if not isinstance(value, dict):
        _report("must be an object", errors, number)
        return None
    for name in value:
        if name not in FIELDS:
            _report(f"is not a known field; the fields are {', '.join(FIELDS)}", errors, number, name)
    return value


def _report(wrong: str | None, errors: InputErrors, number: int, *path: str | int) -> bool:
    """Adds an error of a line, if there is one; whether there is one."""
    if wrong is not None:
        errors.add(f"line {number}: {wrong}", number, *path)
    return wrong is not None
