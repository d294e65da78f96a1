"""`layerscope cancel` and `layerscope delete`"""

from layerscope.cli.connection import DEFAULT_SERVER, JobArgument, JsonOption, ServerOption, connect
from layerscope.cli.output import print_json, print_line


def cancel(job: JobArgument, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Cancel a job. What was measured before is kept."""
    with connect(server) as client:
        state = client.cancel(job).state
    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        print_line(f"{state.id} is {'cancelled' if state.finished_at else 'being cancelled'}.")


def delete(job: JobArgument, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Delete a job with its texts and files. A running job is cancelled first."""
    with connect(server) as client:
        client.delete(job)
    if as_json:
        print_json({"id": job, "deleted": True})
    else:
        print_line(f"{job} is deleted.")
