"""The JSON that the HTTP interface accepts and returns."""

import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, Strict, WithJsonSchema

from app.errors import Problem
from app.text_schemas import TEXTS_SCHEMA
from layerscope.names import (
    Analysis,
    Component,
    Overflow,
    Phase,
    SpecialTokens,
    Status,
)

INTEGER_LIMIT = 2**31 - 1  # the largest value of an integer column

NOT_CONTROL = r"[^\x00-\x1f\x7f-\x9f]*"
PRINTABLE_PATTERN = rf"^{NOT_CONTROL}[^\s\x00-\x1f\x7f-\x9f]{NOT_CONTROL}$"


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
    """`done` texts were measured, `failed` texts could not be. After success, their sum is `texts`.

    Both are committed: they never decrease. `measured` and `share` include what workers report about the
    rest, which is lost if a worker dies.
    """

    texts: int
    done: int
    failed: int
    measured: int = Field(description="further texts that were measured, but are not committed yet")
    tokens: int = Field(description="tokens of the texts that are done")
    phase: Phase | None = Field(description="null for a finished job, or if Redis is unavailable")
    share: float = Field(description="of the work that is done, analyses included, from 0 to 1")
    texts_per_second: float | None = Field(description="null before the first text")
    tokens_per_second: float | None = Field(description="null before the first text")
    eta_seconds: float | None = Field(description="null unless the job is running and work is done")


class DomainOut(BaseModel):
    texts: int
    done: int
    failed: int
    measured: int | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="further texts that were measured, but are not committed yet; missing in finished jobs",
    )


OptionalLink = Annotated[str | None, Field(exclude_if=lambda address: address is None)]


class Links(BaseModel):
    """References relative to the root of the service. A file that the job does not have is missing."""

    self: str
    events: str
    results_csv: str
    results_json: str
    texts_csv: str
    transitions_csv: OptionalLink = None
    page: str
    cancel: OptionalLink = None
    plots: OptionalLink = None
    texts_page: OptionalLink = None
    comparison_csv: OptionalLink = None
    tokens_csv: OptionalLink = None
    first_token_csv: OptionalLink = None
    massive_tokens_csv: OptionalLink = None
    results_parquet: OptionalLink = None
    texts_parquet: OptionalLink = None
    comparison_json: OptionalLink = None
    first_token_json: OptionalLink = None
    massive_tokens_json: OptionalLink = None
    comparison_parquet: OptionalLink = None
    tokens_parquet: OptionalLink = None
    texts_ndjson: OptionalLink = None


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
