"""The handle of a job."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from layerscope.client.notebook_view import job_html
from layerscope.client.progress_display import in_words
from layerscope.client.states import DomainState, JobState, PlotState, ProgressState
from layerscope.client.tables import Row, TableKind

if TYPE_CHECKING:
    from layerscope.client.client import Client


class Job:
    """A job of the service. `state` is what the service said last: `refresh` reads it again.

    In a notebook, a job is shown as a table; a finished job also as a chart.
    """

    def __init__(self, client: "Client", state: JobState) -> None:
        self._client = client
        self.state = state
        self._html: str | None = None  # of a finished job, which does not change any more

    @property
    def id(self) -> str:
        return self.state.id

    @property
    def name(self) -> str | None:
        return self.state.name

    @property
    def status(self) -> str:
        return self.state.status

    @property
    def progress(self) -> ProgressState:
        return self.state.progress

    @property
    def domains(self) -> Mapping[str, DomainState]:
        return self.state.domains

    @property
    def warnings(self) -> Sequence[str]:
        return self.state.warnings

    @property
    def is_finished(self) -> bool:
        return self.state.finished_at is not None

    @property
    def url(self) -> str:
        """The address of its page."""
        return self._client.url + self.state.links["page"]

    def refresh(self) -> "Job":
        """Read the state again. Raises: ClientError."""
        self.state = self._client.get(self.id).state
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> "Job":
        """Wait until the job is finished.

        Args:
            timeout: seconds; None: without limit.
            progress: whether a terminal or notebook shows the progress.
        Raises: JobFailedError, JobCancelledError, WaitTimeoutError; ClientError.
        """
        return self._client.wait(self, timeout, progress=progress)

    @overload
    def results(self, as_: Literal["rows"] = "rows") -> list[Row]: ...
    @overload
    def results(self, as_: TableKind) -> Any: ...
    def results(self, as_: TableKind = "rows") -> Any:
        """The statistics of each domain, scope, component and layer.

        Args:
            as_: "rows" (a list of dictionaries), "pandas" or "polars" (a data frame).
        Raises: JobNotFinishedError, MissingPackageError; ClientError.
        """
        return self._client.results(self, as_)

    @overload
    def texts(self, as_: Literal["rows"] = "rows") -> list[Row]: ...
    @overload
    def texts(self, as_: TableKind) -> Any: ...
    def texts(self, as_: TableKind = "rows") -> Any:
        """The values of each text, scope, component and layer. Use `download` for a large job.

        Raises: as `results`.
        """
        return self._client.texts(self, as_)

    @overload
    def comparison(self, as_: Literal["rows"] = "rows") -> list[Row]: ...
    @overload
    def comparison(self, as_: TableKind) -> Any: ...
    def comparison(self, as_: TableKind = "rows") -> Any:
        """Every pair of domains against each other, per metric, scope, component and layer.

        Raises: as `results`.
        """
        return self._client.comparison(self, as_)

    def download(self, file: str, path: str | Path = ".") -> Path:
        """Write a file, such as `texts.parquet` or `plots/relative.svg`, to a folder or under a new name.

        It is never held in memory. An interrupted transfer is continued. Returns the path of the file.

        Raises: JobNotFinishedError, FileNotFoundInJobError; ClientError; OSError.
        """
        return self._client.download(self, file, path)

    def read(self, file: str) -> Iterator[bytes]:
        """The content of a file in pieces. Raises: as `download`."""
        return self._client.read(self, file)

    def plots(self) -> Sequence[PlotState]:
        """The plots of a finished job, also those that it does not have, each with the reason.

        Raises: JobNotFinishedError; ClientError.
        """
        return self._client.plots(self)

    def cancel(self) -> "Job":
        """Cancel the job. What was measured before is kept. Raises: JobFinishedError; ClientError."""
        self.state = self._client.cancel(self).state
        return self

    def delete(self) -> None:
        """Delete the job with its texts and files. Raises: ClientError."""
        self._client.delete(self)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<Job {self.id}{name}, {in_words(self.state)}>"

    def _repr_html_(self) -> str:
        if self._html is not None:
            return self._html
        shown = job_html(self.state, self.url, self._client.chart_rows(self))
        if self.is_finished:
            self._html = shown
        return shown
