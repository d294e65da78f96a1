"""`layerscope open`"""

import webbrowser
from typing import Annotated

import typer

from layerscope.cli.connection import DEFAULT_SERVER, JsonOption, ServerOption, connect
from layerscope.cli.output import print_json, print_line


def open_page(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="The id of a job. Default: all jobs.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: JsonOption = False,
) -> None:
    """Open the page of a job, or of the service, in a web browser, and print its address."""
    with connect(server) as client:
        if job is None:
            client.models()  # the page of a service that cannot be reached would only show an error
        address = f"{client.url}/" if job is None else client.get(job).url
    if as_json:
        print_json({"url": address})
    else:
        print_line(address)
    webbrowser.open(address)
