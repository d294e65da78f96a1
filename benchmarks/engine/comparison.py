"""Compares Layerscope with other implementations, on the same texts and in turns."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.contestants.contestant_process import ContestantFailed, ContestantProcess, Entry
from benchmarks.contestants.transition_statistics import Statistics
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run, interference_note
from benchmarks.measuring.interleaving import interleave
from benchmarks.measuring.timing import ratios, spread
from benchmarks.report import Report, mib

# The largest difference that counts as agreement. In half precision the other implementations subtract
# residuals that are rounded to 8 bits (bfloat16); Layerscope does not.
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-1, "float16": 2e-2}
HEAD = (
    *("", "seconds", "tokens/s", "times the first", "at best", "by processor time"),
    *("peak MiB above the model", "differs by"),
)


@dataclass(frozen=True)
class CheckedProcess:
    """A loaded contestant whose statistics agree with those of the first contestant."""

    process: ContestantProcess
    difference: float
    peak_mib: float | None  # of the first run

    def run(self) -> Run:
        return self.process.run()[0]


def compare(
    report: Report, entries: Sequence[Entry], texts: Sequence[str], rounds: int, budget: RepeatBudget
) -> None:
    """Checks that all contestants agree, then measures their times. The first entry is the reference.

    Raises:
        RuntimeError: statistics differ by more than the tolerance.
    """
    with ExitStack() as stack:
        contestants = _checked(report, stack, entries, texts)
        runs = interleave([contestant.run for contestant in contestants], rounds, budget)
    row = partial(_row, runs[0], tokens_of(texts))
    report.table(HEAD, map(row, contestants, runs))
    report.say(interference_note([run for side in runs for run in side]))


def _row(reference: Sequence[Run], tokens: int, contestant: CheckedProcess, runs: Sequence[Run]) -> list[str]:
    wall = [run.wall for run in runs]
    speedup = ratios([run.wall for run in reference], wall)
    by_processor = ratios([run.processor for run in reference], [run.processor for run in runs])
    return [
        contestant.process.entry.title,
        f"{spread(wall):.2f}",
        f"{tokens / spread(wall).median:,.0f}",
        f"{speedup:.2f}",
        f"{speedup.least:.2f}",
        f"{by_processor.median:.2f}",
        mib(contestant.peak_mib),
        f"{contestant.difference:.1e}",
    ]


def difference(found: Statistics, reference: Statistics) -> float:
    """The largest difference of two (texts, layers − 1, 2) arrays, relative to the reference's mean |δ|.

    It is not relative to the mean of δ, because the terms of that mean almost cancel. nan values (statistics
    that a contestant does not compute) are ignored.
    """
    return float(np.nanmax(np.abs(found - reference) / reference[..., 1:]))


def _checked(
    report: Report, stack: ExitStack, entries: Sequence[Entry], texts: Sequence[str]
) -> list[CheckedProcess]:
    """The contestants that can run. The report names the others with the reason."""
    contestants: list[CheckedProcess] = []
    reference: Statistics | None = None
    for entry in entries:
        try:
            process = stack.enter_context(ContestantProcess(entry, texts))
            found, peak_mib = process.check()
        except ContestantFailed as failure:
            report.say(f"{entry.title} could not run here: {failure}")
            continue
        reference = found if reference is None else reference
        distance = difference(found, reference)
        if not distance <= TOLERANCE[entry.dtype]:
            raise RuntimeError(f"the statistics of {entry.title} differ from the reference by {distance:.1e}")
        contestants.append(CheckedProcess(process, distance, peak_mib))
    return contestants
