"""The errors of the client: one tree, in which each problem type of the service has its own exception.

`docs/errors.md` describes the problem types. The exception of the type `job-not-found` is `JobNotFoundError`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerscope.client.job import Job
    from layerscope.client.states import ProblemState


class ClientError(Exception):
    """The root of all errors of the client. The message is a sentence with cause and remedy."""


class ServiceUnreachableError(ClientError):
    """The service did not answer, although the request was sent several times."""


class UnexpectedAnswerError(ClientError):
    """The answer is not that of a Layerscope service."""


class WaitTimeoutError(ClientError):
    """The job was not finished in time. It continues."""


class KeyFileError(ClientError):
    """The key, or the file that contains it, cannot be used."""


class MissingPackageError(ClientError, ImportError):
    """A package that the request needs is not installed."""


class JobCancelledError(ClientError):
    """The job that was waited for was cancelled. What was measured before can still be read."""

    def __init__(self, message: str, job: "Job") -> None:
        super().__init__(message)
        self.job = job


class ServiceProblemError(ClientError):
    """The service answered with a problem (RFC 9457). A problem type that is not listed below has this class.

    `errors` lists the places of an invalid input, each with `pointer` and `detail`. `retry_after`: after how
    many seconds the service suggests the next attempt. `request_id` is the id of the request in its log.
    """

    code = ""  # the end of the problem type

    def __init__(
        self, problem: "ProblemState", retry_after: float | None = None, request_id: str | None = None
    ) -> None:
        further = [f"\n  {error.pointer}: {error.detail}" for error in problem.errors[1:]]
        super().__init__(problem.detail + "".join(further))
        self.type, self.title, self.status = problem.type, problem.title, problem.status
        self.detail, self.errors = problem.detail, problem.errors
        self.retry_after, self.request_id = retry_after, request_id


class HostNotAllowedError(ServiceProblemError):
    code = "host-not-allowed"


class ForeignOriginError(ServiceProblemError):
    code = "foreign-origin"


class UnauthorizedError(ServiceProblemError):
    code = "unauthorized"


class ForbiddenError(ServiceProblemError):
    code = "forbidden"


class InvalidRequestError(ServiceProblemError):
    code = "invalid-request"


class IdempotencyKeyReusedError(ServiceProblemError):
    code = "idempotency-key-reused"


class LimitExceededError(ServiceProblemError):
    code = "limit-exceeded"


class BodyTimeoutError(ServiceProblemError):
    code = "body-timeout"


class UnsupportedMediaTypeError(ServiceProblemError):
    code = "unsupported-media-type"


class JobNotFoundError(ServiceProblemError):
    code = "job-not-found"


class FileNotFoundInJobError(ServiceProblemError):
    code = "file-not-found"


class JobFinishedError(ServiceProblemError):
    code = "job-finished"


class JobNotFinishedError(ServiceProblemError):
    code = "job-not-finished"


class RangeNotSatisfiableError(ServiceProblemError):
    code = "range-not-satisfiable"


class DatabaseUnavailableError(ServiceProblemError):
    code = "database-unavailable"


class NotMigratedError(ServiceProblemError):
    code = "not-migrated"


class TooManyRequestsError(ServiceProblemError):
    code = "too-many-requests"


class TooBusyError(ServiceProblemError):
    code = "too-busy"


class DiskFullError(ServiceProblemError):
    code = "disk-full"


class JobFailedError(ServiceProblemError):
    """The job that was waited for failed. What was measured before can still be read."""

    job: "Job"


class NoTextSucceededError(JobFailedError):
    code = "no-text-succeeded"


class ModelUnavailableError(JobFailedError):
    code = "model-unavailable"


class ModelChangedError(JobFailedError):
    code = "model-changed"


class ShardFailedError(JobFailedError):
    code = "shard-failed"


class NoStatisticsError(JobFailedError):
    code = "no-statistics"


def _classes(below: type[ServiceProblemError]) -> dict[str, type[ServiceProblemError]]:
    found = {below.code: below} if below.code else {}
    for child in below.__subclasses__():
        found |= _classes(child)
    return found


BY_CODE = _classes(ServiceProblemError)


def error_of(
    problem: "ProblemState", retry_after: float | None = None, request_id: str | None = None
) -> ServiceProblemError:
    """The exception of a problem that the service sent."""
    kind = BY_CODE.get(problem.type.rpartition(":")[2], ServiceProblemError)
    return kind(problem, retry_after, request_id)


def failure_of(problem: "ProblemState", job: "Job") -> JobFailedError:
    """The exception of a failed job."""
    kind = BY_CODE.get(problem.type.rpartition(":")[2], JobFailedError)
    error = (kind if issubclass(kind, JobFailedError) else JobFailedError)(problem)
    error.job = job
    return error
