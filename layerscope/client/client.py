"""A client of a Layerscope service."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, TypedDict, Unpack
from uuid import uuid4

from layerscope.addresses import DEFAULT_SERVER, SERVER_VARIABLE
from layerscope.client.bodies import GivenTexts, SubmissionBody, body_of, stream_body
from layerscope.client.downloads import read_pieces, write_file
from layerscope.client.errors import ClientError, JobCancelledError, WaitTimeoutError, failure_of
from layerscope.client.job import Job
from layerscope.client.key_file import checked, find_key
from layerscope.client.progress_display import Silent, choose_display
from layerscope.client.states import JobList, JobState, PlotState, PlotTable, ServedModel, ServedModels
from layerscope.client.tables import Row, TableKind, read_table
from layerscope.client.transport import Transport

JOBS = "/v1/jobs"
LONGEST_WAIT, SHOWN_WAIT = 30.0, 1.0  # seconds of one request; the second where progress is shown


class JobArguments(TypedDict, total=False):
    """The options of a job; docs/http.md describes them."""

    max_tokens: int | None
    overflow: Literal["truncate", "fail"]
    components: Iterable[str]
    window: int | None
    paired: bool
    analyses: Iterable[str]
    analysis_texts: int
    special_tokens: Literal["literal", "parse"]


class Client:
    """A client of the service at `url`, which can be used as a context manager.

    Args:
        url: by default the variable LAYERSCOPE_SERVER, or http://127.0.0.1:8000.
        api_key: by default the variable LAYERSCOPE_API_KEY, or the file ~/.config/layerscope/key.
        timeout: seconds that an answer may take.
    Raises: KeyFileError, ServiceUnreachableError if `url` is not an address.

    Requests that were not answered are sent again where that is safe. A submission always is: it has an
    idempotency key.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout: float = 120.0) -> None:
        key = find_key() if api_key is None else checked(api_key, "The argument `api_key`")
        self._transport = Transport(url or os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER, key, timeout)

    @property
    def url(self) -> str:
        return self._transport.url

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self,
        texts: GivenTexts,
        model: str | None = None,
        name: str | None = None,
        *,
        on_invalid: Literal["refuse", "fail"] = "refuse",
        **options: Unpack[JobArguments],
    ) -> Job:
        """Submit texts.

        Args:
            texts: texts by domain, or texts of one domain. A text is a string, or an object with one of
                `text`, `token_ids` and `messages`, and perhaps `pair`. Iterables and generators are written
                to a temporary file and never held in memory.
            model: may be left out if the service has only one.
            name: its files are named after it.
            on_invalid: "fail" makes an invalid text a failed text of the job; otherwise it is an error.
            options: the options of a job, such as `window=64` or `analyses=["ablation"]`.
        Raises: InvalidRequestError, LimitExceededError; ClientError; TypeError or ValueError if the texts
            cannot be encoded.
        """
        request = _request(model, name, options)
        with body_of(texts, request, on_invalid) as body:
            return self._submit(body)

    profile = submit

    def submit_stream(
        self,
        file: IO[bytes],
        model: str | None = None,
        name: str | None = None,
        *,
        compressed: bool = True,
        on_invalid: Literal["refuse", "fail"] = "refuse",
        **options: Unpack[JobArguments],
    ) -> Job:
        """Submit an open file of lines such as {"domain": "cpp", "text": "int i;"}; compressed: by gzip.

        Raises: as `submit`.
        """
        request = _request(model, name, options)
        return self._submit(stream_body(file, request, on_invalid, compressed=compressed))

    def _submit(self, body: SubmissionBody) -> Job:
        headers = {**body.headers, "Idempotency-Key": str(uuid4())}
        state = self._transport.read(
            JobState,
            "POST",
            JOBS,
            body=body.content,
            headers=headers,
            params=body.params,
            repeatable=True,
        )
        return Job(self, state)

    def get(self, job: Job | str) -> Job:
        """Raises: JobNotFoundError; ClientError."""
        return Job(self, self._transport.read(JobState, "GET", _path(job)))

    def wait(self, job: Job | str, timeout: float | None = None, *, progress: bool = True) -> Job:
        """Wait until a job is finished. Raises: as `Job.wait`."""
        handle = job if isinstance(job, Job) else self.get(job)
        for _ in self.follow(handle, timeout, progress=progress):
            pass
        self.check_outcome(handle)
        return handle

    def follow(self, job: Job, timeout: float | None = None, *, progress: bool = True) -> Iterator[JobState]:
        """The states of a job until it is finished; `job.state` is the last one.

        Raises: WaitTimeoutError; ClientError.
        """
        display = choose_display() if progress and not job.is_finished else Silent()
        longest = LONGEST_WAIT if isinstance(display, Silent) else SHOWN_WAIT
        give_up = None if timeout is None else time.monotonic() + timeout
        try:
            display.show(job.state)
            yield job.state
            while not job.is_finished:
                left = longest if give_up is None else give_up - time.monotonic()
                if left <= 0:
                    raise WaitTimeoutError(f"The job {job.id} was not finished within {timeout:g} s.")
                job.state = self._poll(job, min(left, longest))
                display.show(job.state)
                yield job.state
        finally:
            display.close()

    def _poll(self, job: Job, seconds: float) -> JobState:
        """The state when the job is finished, or after some seconds (at most 60)."""
        params = {"wait": f"{seconds:.3f}"}
        return self._transport.read(JobState, "GET", _path(job), params=params, wait=seconds)

    def check_outcome(self, job: Job) -> None:
        """Raises: JobFailedError, JobCancelledError."""
        if job.state.error is not None:
            raise failure_of(job.state.error, job)
        if job.status == "cancelled":
            raise JobCancelledError(f"The job {job.id} was cancelled.", job)

    def results(self, job: Job | str, as_: TableKind = "rows") -> Any:
        """As `Job.results`."""
        return self._table("results", job, as_)

    def texts(self, job: Job | str, as_: TableKind = "rows") -> Any:
        """As `Job.texts`."""
        return self._table("texts", job, as_)

    def comparison(self, job: Job | str, as_: TableKind = "rows") -> Any:
        """As `Job.comparison`."""
        return self._table("comparison", job, as_)

    def _table(self, name: str, job: Job | str, as_: TableKind) -> Any:
        return read_table(name, as_, lambda file: b"".join(self.read(job, file)))

    def chart_rows(self, job: Job) -> Sequence[Row]:
        """The results of a finished job; empty if it is not finished, or if they cannot be read."""
        if not job.is_finished:
            return []
        try:
            rows: Sequence[Row] = self.results(job)
            return rows
        except ClientError:
            return []

    def read(self, job: Job | str, file: str) -> Iterator[bytes]:
        """The content of a file of a finished job in pieces. Raises: as `Job.download`."""
        return read_pieces(self._transport, f"{_path(job)}/{file}")

    def download(self, job: Job | str, file: str, path: str | Path = ".") -> Path:
        """As `Job.download`."""
        return write_file(self.read(job, file), file, Path(path))

    def plots(self, job: Job | str) -> Sequence[PlotState]:
        """The plots of a finished job, also those that it does not have. Raises: ClientError."""
        return self._transport.read(PlotTable, "GET", f"{_path(job)}/plots").data

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job. Raises: JobFinishedError; ClientError."""
        return Job(self, self._transport.read(JobState, "POST", f"{_path(job)}/cancel"))

    def delete(self, job: Job | str) -> None:
        """Delete a job with its texts and files. Raises: JobNotFoundError; ClientError."""
        with self._transport.answered("DELETE", _path(job)):
            pass

    def models(self) -> Sequence[ServedModel]:
        """The models of the service. Raises: ClientError."""
        return self._transport.read(ServedModels, "GET", "/v1/models").data

    def list(self, *, status: str | None = None, model: str | None = None) -> Iterator[Job]:
        """The jobs, newest first. Pages are read as they are needed. Raises: ClientError."""
        given = {"status": status, "model": model}
        path, params = JOBS, {name: value for name, value in given.items() if value}
        while path:
            page = self._transport.read(JobList, "GET", path, params=params)
            yield from (Job(self, state) for state in page.data)
            path, params = page.next or "", {}


def _request(model: str | None, name: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    values = {option: _listed(value) for option, value in options.items()}
    request: dict[str, Any] = {"options": values} if values else {}
    given = {"model": model, "name": name}
    return {key: value for key, value in given.items() if value is not None} | request


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _path(job: Job | str) -> str:
    return f"{JOBS}/{job.id if isinstance(job, Job) else str(job)}"
