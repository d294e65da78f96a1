"""`layerscope profile`: follows a job, writes its files, and prints what its numbers say."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.cli.output import print_line, print_note
from layerscope.cli.profiling.top_layers import print_top_layers
from layerscope.cli.watching import cancelled_on_error, watch_job
from layerscope.client.errors import FileNotFoundInJobError
from layerscope.conclusions import conclusions

if TYPE_CHECKING:
    from layerscope.client import Client, Job

TABLES = (
    "results.csv",
    "transitions.csv",
    "texts.csv",
    "comparison.csv",
    "first_token.csv",
    "massive_tokens.csv",
)
LARGEST_SEARCHED = 2**27  # bytes of texts.csv that are searched for truncated texts
STRINGS = ("domain", "scope", "component", "metric", "domain_a", "domain_b")


@dataclass(frozen=True)
class Destination:
    """`page`: where the page of the job will be, {job} for its id; None: at the service itself."""

    out: Path
    tables: tuple[str, ...] = TABLES
    page: str | None = None


def finish_job(client: "Client", job: "Job", to: Destination) -> None:
    """Wait for a job, write its files, and print the result. An interruption cancels the job.

    Raises: JobFailedError, JobCancelledError; ClientError; OSError.
    """
    with cancelled_on_error(job):
        watch_job(client, job)
    to.out.mkdir(parents=True, exist_ok=True)
    written = _download(job, to)
    _print_result(job, to, written)


def _download(job: "Job", to: Destination) -> list[str]:
    """The tables, and the plots that the job has."""
    tables = list(to.tables)
    plots = [plot.name for plot in job.plots() if plot.unavailable is None]
    files = [*tables, *(f"plots/{name}.png" for name in plots)]
    for number, file in enumerate(files, 1):
        _show(f"\r\x1b[2Kwriting {file} ({number} of {len(files)})")
        try:
            job.download(file, to.out)
        except FileNotFoundInJobError as error:
            _show("\r\x1b[2K")
            print_note(f"{file} is not written: {error}")
            tables = [name for name in tables if name != file]
    _show("\r\x1b[2K")
    return [*tables, f"{len(plots)} plots"]


def _show(text: str) -> None:
    """Only on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()


def _print_result(job: "Job", to: Destination, written: Sequence[str]) -> None:
    progress, out = job.progress, to.out
    failed = f", {progress.failed:,} failed (texts.csv gives the reasons)" if progress.failed else ""
    seconds = _seconds(job)
    print_line(f"{progress.done:,} of {progress.texts:,} texts measured{failed} in {seconds:.0f} s.")
    if truncated := _truncated(out / "texts.csv"):
        print_line(f"{truncated:,} texts were truncated: only their first tokens count.")
    print_top_layers(_rows(out / "results.csv"))
    files = ("results.csv", "comparison.csv", "first_token.csv", "massive_tokens.csv")
    for found in conclusions(*(_rows(out / file) for file in files)):
        print_line(found.text)
    print_line(f"{', '.join(written[:-1])} and {written[-1]} are in {out}/.")
    print_line(to.page.format(job=job.id) if to.page else f"The page of the job: {job.url}")


def _seconds(job: "Job") -> float:
    started, finished = job.state.started_at, job.state.finished_at
    return (finished - started).total_seconds() if started and finished else 0


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a CSV file of the service. Numbers are numbers, and an empty cell is None."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: _text(cell) if name in STRINGS else _number(cell) for name, cell in row.items()}


def _text(cell: str) -> str:
    return cell.removeprefix("'")  # before a cell that a spreadsheet program would execute


def _number(cell: str) -> int | float | None:
    if not cell:
        return None
    return int(cell) if cell.isdecimal() else float(cell)


def _truncated(path: Path) -> int:
    """The number of truncated texts; 0 if the file is too large to be searched."""
    if not path.exists() or path.stat().st_size > LARGEST_SEARCHED:
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return len({row["ordinal"] for row in csv.DictReader(file) if row["truncated"].lower() == "true"})
