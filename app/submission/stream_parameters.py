"""Reads the query parameters of a stream: the request without its texts, and how its lines are read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, Strict, ValidationError

from app.jobs.store import Draft
from app.schemas import Input, Options
from app.submission import rules
from app.submission.input_errors import InputErrors
from app.submission.rules import KnownModel, KnownModels
from layerscope.names import OnInvalid

LISTS = ("components", "analyses")  # options that are lists; their items are separated by commas

FieldName = Annotated[str | None, Field(min_length=1)]


class LineParameters(Input):
    """How lines are read. If one of the fields is named, fields that are not named are ignored."""

    text: FieldName = Field(None, description="the field of a line that contains the text")
    domain: FieldName = Field(
        None, description="the field of a line that contains the domain, also as a number or boolean"
    )
    pair: FieldName = Field(
        None, description="the field of a line that contains the pair, also as a number or boolean"
    )
    on_invalid: Annotated[OnInvalid, Strict(False)] = Field(
        OnInvalid.REFUSE,
        description="what happens if the text of a line is invalid: the request is refused, or it fails",
    )

    @cached_property  # it is read several times for each line
    def names_fields(self) -> bool:
        return any((self.text, self.domain, self.pair))


PARAMETERS = ("model", "name", *Options.model_fields, *LineParameters.model_fields)


@dataclass(frozen=True)
class StreamRequest:
    """`paired`: the option, which can only be checked after the last line."""

    draft: Draft
    lines: LineParameters
    paired: bool
    model: KnownModel


def read_parameters(query: Sequence[tuple[str, str]], key: str | None, models: KnownModels) -> StreamRequest:
    """Raises: InvalidRequest."""
    errors = InputErrors("?")
    values = _values(query, errors)
    members: dict[str, Any] = {name: values[name] for name in ("model", "name") if name in values}
    options = {name: _option(name, values[name]) for name in Options.model_fields if name in values}
    request = rules.read_request(members | {"options": options, "texts": []}, errors)
    lines = _line_parameters(values, errors)
    model = None
    if request is not None:
        model = rules.choose_model(request, models, errors)
        rules.check_analyses(request.options, errors)
    errors.check()
    assert request is not None
    assert lines is not None
    assert model is not None
    reading = {"on_invalid": lines.on_invalid.value} if lines.on_invalid != OnInvalid.REFUSE else {}
    draft = Draft(model, request.name, request.options.model_dump(mode="json"), key, reading=reading)
    return StreamRequest(draft, lines, request.options.paired, models[model])


def _values(query: Sequence[tuple[str, str]], errors: InputErrors) -> dict[str, str]:
    """The known parameters. Those that are lists may be repeated."""
    values: dict[str, str] = {}
    for name, value in query:
        if name not in PARAMETERS:
            errors.add_unknown("parameter", PARAMETERS, name)
        elif name not in values:
            values[name] = value
        elif name in LISTS:
            values[name] += f",{value}"
        else:
            errors.add("occurs more than once", name)
    return values


def _option(name: str, value: str) -> Any:
    """The value as it would be in JSON. What is not a number, boolean or null is a string."""
    if name in LISTS:
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _line_parameters(values: dict[str, str], errors: InputErrors) -> LineParameters | None:
    try:
        return LineParameters.model_validate(
            {name: values[name] for name in LineParameters.model_fields if name in values}
        )
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_context=False, include_input=False):
            errors.add(rules.message(error), *error["loc"])
        return None
