"""What the service sends as JSON. Members that a newer service adds are ignored."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Received(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class InvalidPlace(Received):
    """An error in the input: a JSON pointer, `?parameter`, or the name of a header."""

    pointer: str
    detail: str


class ProblemState(Received):
    """A problem object (RFC 9457)."""

    type: str
    title: str
    status: int = 500
    detail: str
    errors: tuple[InvalidPlace, ...] = ()


class ModelState(Received):
    """A model. A member is None if no worker has loaded the model yet."""

    name: str
    source: str | None = None
    revision: str | None = None
    layers: int | None = None
    hidden_size: int | None = None
    dtype: str | None = None


class ServedModel(ModelState):
    """A model of the list of the service. `workers_alive` is None if the service does not know it now."""

    max_tokens: int | None = None
    workers_alive: int | None = None
    jobs_queued: int = 0


class ProgressState(Received):
    """`done` texts were measured, `failed` texts could not be. `tokens` counts those of the done texts.

    `measured` texts are not committed yet; `share` is the part of the work that is done, from 0 to 1.
    """

    texts: int
    done: int
    failed: int
    measured: int = 0
    tokens: int
    phase: str | None = None
    share: float = 0.0
    texts_per_second: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None

    @property
    def processed(self) -> int:
        return self.done + self.failed + self.measured


class DomainState(Received):
    """As in `ProgressState`."""

    texts: int
    done: int
    failed: int
    measured: int = 0


class JobState(Received):
    """The state of a job at one moment; docs/http.md describes the members."""

    id: str
    name: str | None = None
    status: str
    model: ModelState
    options: dict[str, object] = {}
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: ProgressState
    domains: dict[str, DomainState]
    warnings: tuple[str, ...] = ()
    error: ProblemState | None = None
    links: dict[str, str]


class JobList(Received):
    """A page of the list of jobs. `next` refers to the next page."""

    data: tuple[JobState, ...]
    next: str | None = None


class ServedModels(Received):
    data: tuple[ServedModel, ...]


class PlotState(Received):
    """A plot. `unavailable` is the reason why the job does not have it."""

    name: str
    title: str
    unavailable: str | None = None


class PlotTable(Received):
    data: tuple[PlotState, ...]
