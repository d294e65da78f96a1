"""The commands that use a running service, one module each."""

import typer

from layerscope.cli.verbs.change_job import cancel, delete
from layerscope.cli.verbs.compare_jobs import compare
from layerscope.cli.verbs.get_results import results
from layerscope.cli.verbs.job_list import jobs
from layerscope.cli.verbs.model_list import models_cli
from layerscope.cli.verbs.open_page import open_page
from layerscope.cli.verbs.show_job import show, watch


def add_verbs(cli: typer.Typer) -> None:
    """Add the commands to the command line."""
    for verb in (jobs, show, watch, results, compare, cancel, delete):
        cli.command(verb.__name__)(verb)
    cli.add_typer(models_cli, name="models")
    cli.command("open")(open_page)
