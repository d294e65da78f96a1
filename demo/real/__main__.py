"""`make real`: measures the sample texts with a real model, and compares texts with plain transformers."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli import read_settings, until_stopped
from app.commands.exit import run_as_command
from app.commands.profile_command import make_folder
from app.local.commands import module
from app.local.stack import running_stack
from app.local.supervisor import Command, run_to_end
from demo.real.findings import findings
from demo.real.job import MODEL, first_texts
from demo.real.model import prepare_model
from demo.real.parity import worst_errors

COMPARED_TEXTS = 5  # of each domain


def real(out: Annotated[Path, typer.Option(help="Folder for the tables and plots.")] = Path("real")) -> None:
    """Profile the sample texts with SmolLM2-135M-Instruct (4-bit weights) on this machine."""
    make_folder(out)
    models = prepare_model(read_settings().home)
    os.environ["LAYERSCOPE_MODELS"] = str(models)  # also for the API and the worker
    with until_stopped():
        if code := _run_job(out):
            raise typer.Exit(code)
        for sentence in findings(out):
            typer.echo(sentence)
        typer.echo(parity(models.parent / "model", out))


def _run_job(out: Path) -> int:
    """Runs the service and, as a process of its own, the job. Returns the exit code of the job."""
    with running_stack(read_settings(), "127.0.0.1", 0, 1, (MODEL,)) as stack:
        stack.wait_until_ready()
        arguments = (*module("demo.real.job"), stack.base_url, str(out))
        return run_to_end(Command("job", arguments, stop_seconds=5), meanwhile=stack.supervisor.check)


def parity(folder: Path, out: Path) -> str:
    """Compares the first texts of each domain; says how many, and the largest errors."""
    texts = first_texts(COMPARED_TEXTS)
    errors = worst_errors(folder, out / "texts.csv", texts)
    return f"{len(texts)} texts were compared with plain transformers in float64: {errors}."


if __name__ == "__main__":
    run_as_command(lambda: typer.run(real))
