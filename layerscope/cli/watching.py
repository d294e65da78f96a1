"""Follows a job until it is finished: progress on a terminal, warnings always, both on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from layerscope.cli.output import print_note

if TYPE_CHECKING:
    from layerscope.client import Client, Job


def watch_job(client: "Client", job: "Job") -> None:
    """Raises: JobFailedError, JobCancelledError; ClientError."""
    shown: set[str] = set()
    for state in client.follow(job):
        for warning in state.warnings:
            if warning not in shown:
                shown.add(warning)
                print_note(warning)
    client.check_outcome(job)


@contextmanager
def cancelled_on_error(job: "Job") -> Iterator[None]:
    """Nobody would read the results of a job whose command was interrupted."""
    from layerscope.client.errors import ClientError

    try:
        yield
    except BaseException:
        with suppress(ClientError):
            job.cancel()
        raise
