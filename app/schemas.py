"""The JSON that the HTTP interface accepts and returns."""

import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, Strict, WithJsonSchema

from app.errors import Problem
from layerscope.names import (
    DEFAULT_DOMAIN,
    NAME_PATTERN,
    Analysis,
    Component,
    Overflow,
    SpecialTokens,
    Status,
)
from layerscope.text_forms import LARGEST_ID, LONGEST_PAIR

INTEGER_LIMIT = 2**31 - 1  # the largest value of an integer column

NOT_NUL = r"[^\x00]*"
BLANK = r"\s\x1c-\x1f\x85"  # the white space of Python, which has more than that of other languages
TEXT_PATTERN = rf"^{NOT_NUL}[^\x00{BLANK}]{NOT_NUL}$"  # not blank, without NUL characters
NOT_CONTROL = r"[^\x00-\x1f\x7f-\x9f]*"
PRINTABLE_PATTERN = rf"^{NOT_CONTROL}[^\s\x00-\x1f\x7f-\x9f]{NOT_CONTROL}$"
STRING_SCHEMA = {"type": "string", "pattern": TEXT_PATTERN}
MESSAGE_SCHEMA = {
    "type": "object",
    "properties": {"role": STRING_SCHEMA, "content": {"type": "string", "pattern": f"^{NOT_NUL}$"}},
    "required": ["role", "content"],
    "additionalProperties": False,
}
FORM_SCHEMAS = {
    "text": STRING_SCHEMA,
    "token_ids": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_ID},
        "description": "measured as they are given: no token is added",
    },
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": MESSAGE_SCHEMA,
        "contains": {"properties": {"content": {"pattern": TEXT_PATTERN}}},
        "description": "encoded by the chat template of the model",
    },
}
PAIR_SCHEMA = {"type": "string", "pattern": TEXT_PATTERN, "maxLength": LONGEST_PAIR}
DOMAIN_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}


def _object_with(form: str, **others: Any) -> dict[str, Any]:
    """A text that is an object, or a line of a stream."""
    return {
        "type": "object",
        "properties": {form: FORM_SCHEMAS[form], "pair": PAIR_SCHEMA, **others},
        "required": [form],
        "additionalProperties": False,
    }


TEXT_SCHEMA = {"anyOf": [STRING_SCHEMA, *map(_object_with, FORM_SCHEMAS)]}
LINES_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [_object_with(form, domain=DOMAIN_SCHEMA) for form in FORM_SCHEMAS]},
    "description": "one JSON object in each line",
}
LIST_SCHEMA = {"type": "array", "minItems": 1, "items": TEXT_SCHEMA}
TEXTS_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": DOMAIN_SCHEMA,
            "additionalProperties": LIST_SCHEMA,
        },
        LIST_SCHEMA,
    ],
    "description": f"The texts of each domain. A list without domains is the domain `{DEFAULT_DOMAIN}`.",
    "examples": [{"cpp": ["int main() {}"], "python": ["print(1)"]}],
}


def _printable(name: str) -> str:
    if not name.strip():
        raise ValueError("must not be blank")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        raise ValueError("must not contain control or format characters")
    return name


Name = TypeVar("Name", bound=StrEnum)


def _each_once(kind: type[Name], noun: str) -> AfterValidator:
    """Refuses repeated names, and sorts the others in the order of their enum."""

    def check(names: list[Name]) -> list[Name]:
        if len(set(names)) < len(names):
            raise ValueError(f"must not repeat {noun}")
        return sorted(names, key=list(kind).index)

    return AfterValidator(check)


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MeasurementOptions(Input):
    """The options that every job has."""

    max_tokens: int | None = Field(
        None,
        ge=1,
        le=INTEGER_LIMIT,
        description="the largest number of tokens of a text; null: the limit of the model",
    )
    overflow: Annotated[Overflow, Strict(False)] = Field(
        Overflow.TRUNCATE,
        description="what happens to a longer text: it is truncated and marked, or it fails",
    )
    components: Annotated[
        list[Annotated[Component, Strict(False)]],
        FailFast(),
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        _each_once(Component, "a component"),
    ] = Field(list(Component), description="what is measured in each layer")
    window: int | None = Field(
        None,
        ge=1,
        le=INTEGER_LIMIT,
        description="only this number of tokens at the start of each text is used, and a text with fewer "
        "tokens fails; null: all tokens",
    )
    paired: bool = Field(
        False, description="the k-th texts of all domains belong together and are compared as pairs"
    )
    analyses: Annotated[
        list[Annotated[Analysis, Strict(False)]],
        FailFast(),
        Field(json_schema_extra={"uniqueItems": True}),
        _each_once(Analysis, "an analysis"),
    ] = Field([], description="analyses of a sample of the texts; they require the component `block`")
    analysis_texts: int = Field(64, ge=1, le=1024, description="texts of each domain that are analysed")


class Options(MeasurementOptions):
    """How the texts are measured."""

    special_tokens: Annotated[SpecialTokens, Strict(False)] = Field(
        SpecialTokens.LITERAL,
        description="what a special token is that a text or a message spells: its characters, or the token",
    )


class JobOptions(MeasurementOptions):
    """The options of a job."""

    special_tokens: Annotated[SpecialTokens, Strict(False)] | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="missing in jobs from before this option, whose texts were parsed",
    )


class JobRequest(Input):
    """A request for a new job."""

    model: str | None = Field(None, description="may be omitted if only one model is configured")
    name: (
        Annotated[
            str,
            Field(min_length=1, max_length=100, json_schema_extra={"pattern": PRINTABLE_PATTERN}),
            AfterValidator(_printable),
        ]
        | None
    ) = Field(None, description="its files are named after it; no control characters")
    texts: Annotated[Any, WithJsonSchema(TEXTS_SCHEMA)]
    options: Options = Options()


class ModelOut(BaseModel):
    """The model as the worker loaded it. A member is null if no worker has loaded the model yet."""

    name: str
    source: str | None
    revision: str | None
    layers: int | None
    hidden_size: int | None
    dtype: str | None


class Progress(BaseModel):
    """`done` texts were measured, `failed` texts could not be. After success, their sum is `texts`."""

    texts: int
    done: int
    failed: int
    tokens: int = Field(description="tokens of the texts that are done")
    texts_per_second: float | None = Field(description="null before the first text")
    eta_seconds: float | None = Field(description="null unless the job is running and a text is done")


class DomainOut(BaseModel):
    texts: int
    done: int
    failed: int


class Links(BaseModel):
    """References relative to the root of the service."""

    self: str
    events: str
    results_csv: str
    results_json: str
    texts_csv: str
    transitions_csv: str
    page: str


class JobOut(BaseModel):
    id: UUID
    name: str | None
    status: Status
    model: ModelOut
    options: JobOptions
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress
    domains: dict[str, DomainOut]
    warnings: list[str] = Field(description="what to know before reading the files")
    error: Problem | None
    links: Links


class JobPage(BaseModel):
    """Jobs, newest first. `next` refers to the next page."""

    data: list[JobOut]
    next: str | None


class PlotOut(BaseModel):
    """A plot; `png` and `svg` are references relative to the root of the service."""

    name: str
    title: str
    unavailable: str | None = Field(description="why the job does not have this plot; null if it has it")
    png: str
    svg: str


class PlotList(BaseModel):
    data: list[PlotOut]


class ConfiguredModel(ModelOut):
    max_tokens: int | None
    workers_alive: int | None = Field(description="null if Redis is unavailable")
    jobs_queued: int


class ModelList(BaseModel):
    data: list[ConfiguredModel]


class Health(BaseModel):
    status: Literal["live", "ready"]
    degraded: list[Literal["redis"]] = Field(default_factory=list, description="the unavailable services")
