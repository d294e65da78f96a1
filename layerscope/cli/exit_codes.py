"""The exit codes of the command, and the code of each error that a user can correct."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts can rely on."""

    DONE = 0
    JOB_FAILED = 1
    WRONG_USE = 2
    UNREACHABLE = 3


def exit_code_of(error: Exception) -> ExitCode | None:
    """The code of an error of the client or of the readers; None for other errors."""
    from layerscope.client import errors
    from layerscope.inputs import UnreadableInputError

    match error:
        case errors.JobFailedError() | errors.JobCancelledError():
            return ExitCode.JOB_FAILED
        case errors.ServiceUnreachableError() | errors.UnexpectedAnswerError():
            return ExitCode.UNREACHABLE
        case errors.ServiceProblemError(status=status) if status >= 500:
            return ExitCode.UNREACHABLE
        case errors.ClientError() | UnreadableInputError():
            return ExitCode.WRONG_USE
    return None
