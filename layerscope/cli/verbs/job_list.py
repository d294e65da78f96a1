"""`layerscope jobs`"""

from itertools import islice
from typing import Annotated

import typer

from layerscope.cli.connection import DEFAULT_SERVER, JsonOption, ServerOption, connect
from layerscope.cli.output import print_states, print_table
from layerscope.names import Status

COLUMNS = ("id", "status", "done", "failed", "texts", "model", "name", "created")


def jobs(
    server: ServerOption = DEFAULT_SERVER,
    status: Annotated[Status | None, typer.Option(help="List only jobs with this status.")] = None,
    model: Annotated[str | None, typer.Option(help="List only jobs of this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The largest number of jobs.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the jobs of the service, newest first."""
    with connect(server) as client:
        states = [
            job.state for job in islice(client.list(status=status and status.value, model=model), limit)
        ]
    if as_json:
        print_states(states)
        return
    print_table(
        COLUMNS,
        [
            (
                *(state.id, state.status, state.progress.done, state.progress.failed, state.progress.texts),
                *(state.model.name, state.name, f"{state.created_at:%Y-%m-%d %H:%M}"),
            )
            for state in states
        ],
    )
