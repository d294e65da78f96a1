"""The errors of the service, and the problem objects (RFC 9457) that report them.

LayerscopeError
├── ProblemError                        has a problem type
│   ├── HostNotAllowed (421)            the Host header has a name that is not configured
│   ├── ForeignOrigin (403)             a web page of another site tried to change something
│   ├── Unauthorized (401)              the request has no valid key
│   ├── Forbidden (403)                 the scope of the key does not allow the request
│   ├── InvalidRequest (422)            the input is invalid: `errors` lists the places
│   ├── IdempotencyKeyReused (422)      the key was used for a different request
│   ├── LimitExceeded (413)             a body, job or text exceeds a limit
│   ├── BodyTimeout (408)               the body arrives too slowly
│   ├── UnsupportedMediaType (415)      the body has another format
│   ├── JobNotFound (404)
│   ├── FileNotFound (404)              the job has no such file
│   ├── JobFinished (409)               the job can no longer be cancelled
│   ├── JobNotFinished (409)            the job has no files yet
│   ├── RangeNotSatisfiable (416)       the range starts after the end of the file
│   ├── DatabaseUnavailable (503)
│   ├── NotMigrated (503)
│   ├── TooManyRequests (429)           an owner or a client exceeds a limit
│   ├── TooBusy (503)                   too many clients do the same at the moment
│   ├── DiskFull (507)
│   └── JobFailure                      why a job failed: its problem is stored as the `error` of the job
│       ├── NoTextSucceeded (500)
│       ├── ModelUnavailable (503)
│       ├── ModelChanged (503)
│       ├── ShardFailed (500)
│       └── NoStatistics (500)
├── ConfigurationError                  a process cannot start: printed on stderr
└── KeyNotFound                         a command names a key that does not exist: printed on stderr
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

PROBLEM_TYPE = "urn:layerscope:problem:"


@dataclass(frozen=True)
class InputError:
    """One error in the input: a JSON pointer into the body, or `?parameter`, or the name of a header."""

    pointer: str
    detail: str


@dataclass(frozen=True)
class Problem:
    """A problem object (RFC 9457): the body of an error response, or the reason why a job failed."""

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[
        tuple[InputError, ...],
        Field(exclude_if=lambda errors: not errors, description="the invalid places of the input"),
    ] = ()

    def to_dict(self) -> dict[str, Any]:
        """The members of the JSON object. `errors` is left out if it is empty."""
        members = asdict(self)
        errors = members.pop("errors")
        return members | ({"errors": list(errors)} if errors else {})


class LayerscopeError(Exception):
    """`detail` is a sentence for the person who sent the request or started the process."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ProblemError(LayerscopeError):
    """An error with an HTTP status. Its problem type is PROBLEM_TYPE followed by `code`."""

    status: int
    title: str
    code: str

    def __init__(
        self, detail: str, errors: Sequence[InputError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def problem(self) -> Problem:
        return Problem(PROBLEM_TYPE + self.code, self.title, self.status, self.detail, self.errors)


class InvalidRequest(ProblemError):
    """If no place is given, the error is in the whole body."""

    status, title, code = 422, "Invalid request", "invalid-request"

    def __init__(self, detail: str, errors: Sequence[InputError] = ()) -> None:
        super().__init__(detail, errors or [InputError("", detail)])


class IdempotencyKeyReused(ProblemError):
    status, title, code = 422, "Idempotency key used for another request", "idempotency-key-reused"


class LimitExceeded(ProblemError):
    status, title, code = 413, "Limit exceeded", "limit-exceeded"


class BodyTimeout(ProblemError):
    status, title, code = 408, "The body arrives too slowly", "body-timeout"


class TooBusy(ProblemError):
    status, title, code = 503, "The service is busy", "too-busy"


class TooManyRequests(ProblemError):
    status, title, code = 429, "A limit of the owner or of the client is exceeded", "too-many-requests"


class DiskFull(ProblemError):
    status, title, code = 507, "The disk is full", "disk-full"


class UnsupportedMediaType(ProblemError):
    status, title, code = 415, "Unsupported media type", "unsupported-media-type"


class HostNotAllowed(ProblemError):
    status, title, code = 421, "Host not allowed", "host-not-allowed"


class ForeignOrigin(ProblemError):
    status, title, code = 403, "Request of another site", "foreign-origin"


class Unauthorized(ProblemError):
    status, title, code = 401, "A key is needed", "unauthorized"


class Forbidden(ProblemError):
    status, title, code = 403, "The key does not allow this", "forbidden"


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
    status, title, code = 503, "The database is unavailable", "database-unavailable"


class NotMigrated(ProblemError):
    status, title, code = 503, "The database is not migrated", "not-migrated"


class JobFailure(ProblemError):
    """Why a job failed. No HTTP response has this status: it is a member of the job's `error`."""


class NoTextSucceeded(JobFailure):
    status, title, code = 500, "No text succeeded", "no-text-succeeded"


class ModelUnavailable(JobFailure):
    status, title, code = 503, "The model cannot be loaded", "model-unavailable"


class ModelChanged(JobFailure):
    status, title, code = 503, "The model has changed", "model-changed"


class ShardFailed(JobFailure):
    status, title, code = 500, "A part of the job cannot be measured", "shard-failed"


class NoStatistics(JobFailure):
    status, title, code = 500, "The statistics cannot be computed", "no-statistics"


class ConfigurationError(LayerscopeError):
    """A setting, a file or a server that a process needs to start is missing or invalid."""


class KeyNotFound(LayerscopeError):
    """`layerscope keys` names a key that does not exist."""
