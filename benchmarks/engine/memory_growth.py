"""Memory and time against the number of texts, and against their length; each point in a fresh process."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.contestants.contestant_process import ContestantProcess, Entry, Failed
from benchmarks.inputs.texts import of_length, tokens_of
from benchmarks.measuring.interference import RepeatBudget
from benchmarks.report import Report, mib

TOKENS_A_TEXT = 24  # while their number grows: what grows with it must not hide behind the activations


def against_number(report: Report, entry: Entry, counts: Sequence[int], budget: RepeatBudget) -> None:
    """Texts come and go; nothing may stay."""
    rows = []
    for count in counts:
        seconds, peak = _point(entry, of_length(count, TOKENS_A_TEXT), budget)
        rows.append((f"{count:,}", mib(peak), f"{seconds:.2f}", f"{1e3 * seconds / count:.3f}"))
    report.say(f"{entry.title}, texts of {TOKENS_A_TEXT} tokens:")
    report.table(("texts", "peak MiB above the model", "seconds", "ms a text"), rows)


def against_length(
    report: Report, entry: Entry, lengths: Sequence[int], rival: str, budget: RepeatBudget
) -> None:
    """The same number of tokens in ever fewer, ever longer texts, beside a rival that is shown the same."""
    total = max(lengths)
    rows = []
    for length in lengths:
        texts = of_length(total // length, length)
        cells = [f"{len(texts)} × {length:,}"]
        for side in (entry, replace(entry, name=rival)):
            try:
                seconds, peak = _point(side, texts, budget)
                cells += [mib(peak), f"{seconds:.2f}", f"{1e3 * seconds / (tokens_of(texts) / 1e3):.0f}"]
            except Failed as failed:
                cells += [str(failed), "", ""]
        rows.append(tuple(cells))
    columns = ("peak MiB above the model", "seconds", "ms per 1,000 tokens")
    report.say(f"{entry.title}, then {rival}, the same number of tokens in texts of growing length:")
    report.table(("texts × tokens", *columns, *columns), rows)


def _point(entry: Entry, texts: Sequence[str], budget: RepeatBudget) -> tuple[float, float | None]:
    """Seconds of a warm run; the peak of the first and the last."""
    with ContestantProcess(entry, texts) as process:
        _, first = process.run()
        run = budget.measure(lambda: process.run()[0])
        _, last = process.run()
    return run.wall, None if first is None or last is None else max(first, last)
