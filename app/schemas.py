"""What goes in and comes out as JSON."""

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, WithJsonSchema

from layerscope.names import ANALYSES, COMPONENTS, DEFAULT_DOMAIN

Component = Literal["block", "attention", "mlp"]
Analysis = Literal["ablation", "logit_lens", "activations"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]

LIST_SCHEMA = {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"\S"}}
TEXTS_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "additionalProperties": LIST_SCHEMA,
        },
        LIST_SCHEMA,
    ],
    "description": f"Texts by domain; a bare list is the domain `{DEFAULT_DOMAIN}`.",
    "examples": [{"cpp": ["int main() {}"], "python": ["print(1)"]}],
}


def _printable(name: str) -> str:
    if not name.strip():
        raise ValueError("must not be blank")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        raise ValueError("must not hold control or format characters")
    return name


def _in_canonical_order(components: list[Component]) -> list[Component]:
    if len(set(components)) < len(components):
        raise ValueError("must not repeat a component")
    return sorted(components, key=COMPONENTS.index)


def _each_once(analyses: list[Analysis]) -> list[Analysis]:
    if len(set(analyses)) < len(analyses):
        raise ValueError("must not repeat an analysis")
    return sorted(analyses, key=ANALYSES.index)


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Options(Input):
    """How the texts are measured."""

    max_tokens: int | None = Field(
        None, ge=1, le=2**31 - 1, description="tokens of a text that count; null: the model's limit"
    )
    overflow: Literal["truncate", "fail"] = Field(
        "truncate", description="what becomes of a longer text: cut and marked, or failed"
    )
    components: Annotated[
        list[Component],
        FailFast(),
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_in_canonical_order),
    ] = Field(["block", "attention", "mlp"], description="what is measured in each layer")
    window: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="only so many first tokens of a text count, and a text with fewer fails; null: all",
    )
    paired: bool = Field(
        False, description="the k-th texts of the domains belong together and are compared as pairs"
    )
    analyses: Annotated[
        list[Analysis],
        FailFast(),
        Field(json_schema_extra={"uniqueItems": True}),
        AfterValidator(_each_once),
    ] = Field([], description="what a sample of the texts is analysed for; needs the component `block`")
    analysis_texts: int = Field(64, ge=1, le=1024, description="texts of each domain that are analysed")


class JobRequest(Input):
    """A job to be done."""

    model: str | None = Field(None, description="may be left out where one model is configured")
    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)] | None = Field(
        None, description="what its files are called; no control characters"
    )
    texts: Annotated[Any, WithJsonSchema(TEXTS_SCHEMA)]
    options: Options = Options()


class InputErrorOut(BaseModel):
    """One fault: a JSON pointer into the body, or `?parameter`, or a header's name."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[InputErrorOut] = Field(
        default_factory=list, description="the places, where input is at fault"
    )


class JobError(BaseModel):
    """Why a job failed."""

    type: str
    title: str
    status: int
    detail: str


class ModelOut(BaseModel):
    """The model as the worker loaded it; null where no worker has yet."""

    name: str
    source: str | None
    revision: str | None
    layers: int | None
    hidden_size: int | None
    dtype: str | None


class Progress(BaseModel):
    """`done` texts were measured, `failed` could not be; when the job has succeeded the two make `texts`."""

    texts: int
    done: int
    failed: int
    tokens: int = Field(description="tokens of the texts done")
    texts_per_second: float | None = Field(description="by the database's clock; null before the first text")
    eta_seconds: float | None = Field(description="null unless running, and before the first text")


class DomainOut(BaseModel):
    texts: int
    done: int
    failed: int


class Links(BaseModel):
    """References relative to the service's root."""

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
    options: Options
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: Progress
    domains: dict[str, DomainOut]
    error: JobError | None
    links: Links


class JobPage(BaseModel):
    """Jobs, newest first; `next` refers to the older ones."""

    data: list[JobOut]
    next: str | None


class ConfiguredModel(ModelOut):
    max_tokens: int | None
    workers_alive: int | None = Field(description="null where Redis is away")
    jobs_queued: int


class Models(BaseModel):
    data: list[ConfiguredModel]


class Health(BaseModel):
    status: Literal["live", "ready"]
    degraded: list[Literal["redis"]] = Field(default_factory=list, description="what does without")
