"""`layerscope models`"""

import typer

from layerscope.cli.connection import DEFAULT_SERVER, JsonOption, ServerOption, connect
from layerscope.cli.output import print_states, print_table

COLUMNS = ("name", "layers", "hidden", "dtype", "max tokens", "workers", "queued", "source")

models_cli = typer.Typer(invoke_without_command=True)


@models_cli.callback()
def models(
    context: typer.Context, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False
) -> None:
    """List the models of the service, or add one to the model list of this machine."""
    if context.invoked_subcommand is not None:
        return
    with connect(server) as client:
        found = client.models()
    if as_json:
        print_states(found)
        return
    print_table(
        COLUMNS,
        [
            (
                *(model.name, model.layers, model.hidden_size, model.dtype, model.max_tokens),
                *(model.workers_alive, model.jobs_queued, model.source),
            )
            for model in found
        ],
    )
