"""What the service refuses, and why.

LayerscopeError
├── InvalidRequest (422)            input at fault: each place in `errors`
├── IdempotencyKeyReused (422)      same key, another request
├── LimitExceeded (413)             a body, job or text over a limit, which is named
├── UnsupportedMediaType (415)      a body in another format
├── JobNotFound (404)
├── FileNotFound (404)              no such file of this job
├── JobFinished (409)               too late to cancel
├── JobNotFinished (409)            too early for its files
├── RangeNotSatisfiable (416)       bytes asked for behind the end of a file
├── DatabaseUnavailable (503)
├── NotMigrated (503)
├── ConfigurationError              a process that can't start: said on stderr, never over HTTP
└── ProfilingFailed                 a sample run that came to nothing: the same
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InputError:
    """One fault of an input: a JSON pointer into the body (or `?parameter`), and what is wrong there."""

    pointer: str
    detail: str


class LayerscopeError(Exception):
    """`detail` is a sentence for the person who sent the request."""

    def __init__(
        self, detail: str, errors: Sequence[InputError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class ProblemError(LayerscopeError):
    """An error with an HTTP status; `code` ends its problem type."""

    status: int
    title: str
    code: str


class InvalidRequest(ProblemError):
    """Where no place is named it is the whole body."""

    status, title, code = 422, "Invalid request", "invalid-request"

    def __init__(self, detail: str, errors: Sequence[InputError] = ()) -> None:
        super().__init__(detail, errors or [InputError("", detail)])


class IdempotencyKeyReused(ProblemError):
    status, title, code = 422, "Idempotency key used for another request", "idempotency-key-reused"


class LimitExceeded(ProblemError):
    status, title, code = 413, "Over a limit", "limit-exceeded"


class UnsupportedMediaType(ProblemError):
    status, title, code = 415, "Unsupported media type", "unsupported-media-type"


class JobNotFound(ProblemError):
    status, title, code = 404, "No such job", "job-not-found"


class FileNotFound(ProblemError):
    status, title, code = 404, "No such file", "file-not-found"


class JobFinished(ProblemError):
    status, title, code = 409, "The job is finished", "job-finished"


class JobNotFinished(ProblemError):
    status, title, code = 409, "The job is not finished", "job-not-finished"


class RangeNotSatisfiable(ProblemError):
    status, title, code = 416, "Range not satisfiable", "range-not-satisfiable"


class DatabaseUnavailable(ProblemError):
    status, title, code = 503, "The database is away", "database-unavailable"


class NotMigrated(ProblemError):
    status, title, code = 503, "The database is not migrated", "not-migrated"


class ConfigurationError(LayerscopeError):
    """A setting, a file or a server without which a process can't start."""


class ProfilingFailed(LayerscopeError):
    """Samples, a service, a job or a folder without which there is no profile."""
