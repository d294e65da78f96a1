"""Memory and time by the number of texts and by their length. Each point is measured in a new process."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.contestants.contestant_process import ContestantFailed, ContestantProcess, Entry
from benchmarks.inputs.texts import of_length, tokens_of
from benchmarks.measuring.interference import RepeatBudget
from benchmarks.report import Report, mib

TOKENS_PER_TEXT = 24  # short texts: large activations would hide memory that grows with the number of texts


def against_number(report: Report, entry: Entry, counts: Sequence[int], budget: RepeatBudget) -> None:
    """More and more texts of the same length. The peak memory must not grow with their number."""
    rows = []
    for count in counts:
        seconds, peak = _point(entry, of_length(count, TOKENS_PER_TEXT), budget)
        rows.append((f"{count:,}", mib(peak), f"{seconds:.2f}", f"{1e3 * seconds / count:.3f}"))
    report.say(f"{entry.title}, texts of {TOKENS_PER_TEXT} tokens:")
    report.table(("texts", "peak MiB above the model", "seconds", "ms per text"), rows)


def against_length(
    report: Report, entry: Entry, lengths: Sequence[int], other: str, budget: RepeatBudget
) -> None:
    """The same number of tokens in fewer and longer texts, for `entry` and for the contestant `other`."""
    total = max(lengths)
    rows = []
    for length in lengths:
        texts = of_length(total // length, length)
        cells = [f"{len(texts)} × {length:,}"]
        for contestant in (entry, replace(entry, name=other)):
            try:
                seconds, peak = _point(contestant, texts, budget)
                cells += [mib(peak), f"{seconds:.2f}", f"{1e3 * seconds / (tokens_of(texts) / 1e3):.0f}"]
            except ContestantFailed as failure:
                cells += [str(failure), "", ""]
        rows.append(tuple(cells))
    columns = ("peak MiB above the model", "seconds", "ms per 1,000 tokens")
    report.say(f"{entry.title}, then {other}, the same number of tokens in texts of increasing length:")
    report.table(("texts × tokens", *columns, *columns), rows)


def _point(entry: Entry, texts: Sequence[str], budget: RepeatBudget) -> tuple[float, float | None]:
    """The seconds of a warm run, and the higher peak (MiB) of the first and the last run."""
    with ContestantProcess(entry, texts) as process:
        _, first = process.run()
        run = budget.measure(lambda: process.run()[0])
        _, last = process.run()
    return run.wall, None if first is None or last is None else max(first, last)
