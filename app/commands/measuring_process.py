"""The process that submits the texts of `layerscope profile` to the service which that command has started.

The command itself watches the service. `python -m app.commands.measuring_process FILE` reads a MeasuringTask.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.commands.exit import run_as_command


@dataclass(frozen=True)
class MeasuringTask:
    """What is measured where. `page` says where the page of the job will be: see `Destination`."""

    url: str
    texts: str  # a file with a line for each text
    is_compressed: bool
    model: str | None
    name: str | None
    options: Mapping[str, Any]
    out: str
    page: str | None = None

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


def run(task: MeasuringTask) -> None:
    """Raises: ClientError; ConfigurationError if the folder is not writable."""
    from app.errors import ConfigurationError
    from layerscope.cli.profiling.measure import Destination, finish_job
    from layerscope.client import Client

    with Client(task.url) as client, Path(task.texts).open("rb") as file:
        job = client.submit_stream(
            file,
            task.model,
            task.name,
            compressed=task.is_compressed,
            on_invalid="fail",
            **task.options,
        )
        try:
            finish_job(client, job, Destination(Path(task.out), _tables(task), task.page))
        except OSError as error:
            raise ConfigurationError(
                f"The folder {task.out} is not writable ({error.strerror}): choose another folder with --out."
            ) from error


def _tables(task: MeasuringTask) -> tuple[str, ...]:
    from layerscope.cli.profiling.measure import TABLES

    return (*TABLES, "tokens.csv") if "tokens" in task.options.get("analyses", ()) else TABLES


if __name__ == "__main__":
    content = Path(sys.argv[1]).read_text(encoding="utf-8")
    run_as_command(lambda: run(MeasuringTask(**json.loads(content))))
