"""The options of the commands that use a running service, and its client."""

from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.addresses import DEFAULT_SERVER as DEFAULT_SERVER
from layerscope.addresses import SERVER_VARIABLE

if TYPE_CHECKING:
    from layerscope.client import Client

ServerOption = Annotated[
    str,
    typer.Option("--server", envvar=SERVER_VARIABLE, metavar="URL", help="Address of the running service."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")]


def connect(server: str) -> "Client":
    """Raises: ClientError."""
    from layerscope.client import Client

    return Client(server)
