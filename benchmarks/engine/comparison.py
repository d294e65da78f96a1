"""The engine against everybody else, on the same texts, in turns."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from benchmarks.contestants.child_program import CONTESTANTS
from benchmarks.contestants.contestant_process import ContestantProcess, Entry, Failed, interleave
from benchmarks.contestants.transformers_loops import Statistics
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, neighbours
from benchmarks.measuring.timing import ratios, spread
from benchmarks.report import Report, mib

PEERS = ("TransformerLens", "nnsight, causal model", "nnsight, base model")
OURS = tuple(name for name in CONTESTANTS if name not in PEERS)
# Largest difference that still counts as the same number. In half precision the others subtract residuals
# that were rounded to 8 bits, and Layerscope does not.
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-1, "float16": 2e-2}


@dataclass(frozen=True)
class Checked:
    """Of one process: how far its numbers are from the first process's, and the memory that they took."""

    difference: float
    peak_mib: float | None


def race(
    report: Report, entries: Sequence[Entry], texts: Sequence[str], rounds: int, budget: RepeatBudget
) -> None:
    """Checks that all agree, then times them; the first entry is what the others are measured by.

    Raises: RuntimeError where numbers differ.
    """
    with ExitStack() as stack:
        processes, checks = _loaded(report, stack, entries, texts)
        runs = interleave([lambda process=process: process.run()[0] for process in processes], rounds, budget)  # type: ignore[misc]
    rows = []
    walls = [[run.wall for run in side] for side in runs]
    processors = [[run.processor for run in side] for side in runs]
    for process, check, wall, processor in zip(processes, checks, walls, processors, strict=True):
        faster = ratios(walls[0], wall)
        rows.append(
            (
                process.entry.title,
                f"{spread(wall):.2f}",
                f"{tokens_of(texts) / spread(wall).median:,.0f}",
                f"{faster:.2f}",
                f"{faster.least:.2f}",
                f"{ratios(processors[0], processor).median:.2f}",
                mib(check.peak_mib),
                f"{check.difference:.1e}",
            )
        )
    head = (
        *("", "seconds", "tokens/s", "times the first", "at best", "by processor time"),
        *("peak MiB above the model", "differs by"),
    )
    report.table(head, rows)
    report.say(neighbours([run for side in runs for run in side]))


def difference(found: Statistics, reference: Statistics) -> float:
    """The largest difference of two (texts, layers − 1, 2) arrays, relative to the reference's mean of |δ|:
    the mean of δ nearly cancels, so relative to itself it has no digits to compare. nan: not measured."""
    return float(np.nanmax(np.abs(found - reference) / reference[..., 1:]))


def _loaded(
    report: Report, stack: ExitStack, entries: Sequence[Entry], texts: Sequence[str]
) -> tuple[list[ContestantProcess], list[Checked]]:
    """The processes that can run, their numbers checked; those that cannot are said to."""
    processes: list[ContestantProcess] = []
    checks: list[Checked] = []
    reference: Statistics | None = None
    for entry in entries:
        try:
            process = stack.enter_context(ContestantProcess(entry, texts))
            found, peak = process.check()
        except Failed as failed:
            report.say(f"{entry.title}: could not run here: {failed}")
            continue
        reference = found if reference is None else reference
        apart = difference(found, reference)
        if not apart <= TOLERANCE[entry.dtype]:
            raise RuntimeError(f"{entry.title} measures something else: numbers differ by {apart:.1e}")
        processes.append(process)
        checks.append(Checked(apart, peak))
    return processes, checks
