"""Writes the results of the whole fault matrix as a table, one line per fault, for docs/operations.md."""

import json
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.resources import ROOT

FOLDER = ROOT / "var" / "faults"
TABLE = ROOT / "var" / "faults.md"
HEAD = (
    "| # | fault | injected | texts lost | duplicated | recovery, median | slowest | bound | date, commit |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Line:
    number: float
    fault: str
    injected: int
    lost: int
    duplicated: int
    median: float | None
    slowest: float | None
    bound: float | None
    date: str
    commit: str


def write_line(
    number: float,
    fault: str,
    injected: int,
    *,
    lost: int = 0,
    duplicated: int = 0,
    recoveries: Sequence[float] = (),
    bound: float | None = None,
) -> None:
    median, slowest = (statistics.median(recoveries), max(recoveries)) if recoveries else (None, None)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    line = Line(number, fault, injected, lost, duplicated, median, slowest, bound, today, commit())
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{number:05.1f}.json").write_text(json.dumps(asdict(line)))
    write_table(FOLDER, TABLE)


def commit() -> str:
    """The current commit, followed by a plus sign if the working tree differs from it."""
    command = ("git", "describe", "--always", "--dirty=+", "--exclude=*")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "?"


def write_table(folder: Path, table: Path) -> None:
    lines = [Line(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]
    table.write_text(HEAD + "".join(_row(line) for line in lines))


def _row(line: Line) -> str:
    seconds = [_seconds(value) for value in (line.median, line.slowest, line.bound)]
    cells = [f"{line.number:g}", line.fault, line.injected, line.lost, line.duplicated, *seconds]
    return f"| {' | '.join(map(str, cells))} | {line.date}, {line.commit} |\n"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
