"""`layerscope results`"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.connection import DEFAULT_SERVER, JobArgument, ServerOption, connect
from layerscope.cli.output import print_note

BINARY = (".parquet", ".png")
DEFAULT_FILE = "results.csv"


def results(
    job: JobArgument,
    file: Annotated[
        str, typer.Argument(help="The file, such as texts.parquet, comparison.json or plots/relative.svg.")
    ] = DEFAULT_FILE,
    out: Annotated[
        Path | None, typer.Option(help="A file or folder to write to. Default: standard output.")
    ] = None,
    server: ServerOption = DEFAULT_SERVER,
    as_json: Annotated[
        bool, typer.Option("--json", help=f"Read results.json instead of {DEFAULT_FILE}.")
    ] = False,
) -> None:
    """Write a file of a finished job to standard output, or to a file."""
    if as_json and file == DEFAULT_FILE:
        file = "results.json"
    if out is None and file.endswith(BINARY) and sys.stdout.isatty():
        raise typer.BadParameter(f"{file} is not text: name a file or folder with --out.", param_hint="FILE")
    with connect(server) as client:
        if out is not None:
            print_note(f"{client.download(job, file, out)} is written.")
            return
        _write(client.read(job, file))


def _write(pieces: Iterator[bytes]) -> None:
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has enough: `layerscope results JOB | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
