"""What was measured, as Markdown: printed as it comes, and appended to LOG.md at the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = """# TextResult

Entries are appended by `make bench` (`python -m benchmarks --help`), newest last, and none is taken away
because it is bad. Seconds are medians with [quartiles]; ratios are taken round by round, so whatever else the
machine did slowed both sides; "at best" is the ratio of the fastest runs, which is what a quiet machine would
show. Weights are random: speed does not depend on what they say.
"""


@dataclass
class Report:
    """One entry of the log."""

    title: str
    parts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.parts.append(text)
        print(text, end="\n\n", flush=True)

    def heading(self, text: str) -> None:
        self.say(f"### {text}")

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        lines = [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]
        self.say("\n".join(lines))

    def append_to(self, log: Path) -> None:
        if not log.exists():
            log.write_text(_HEAD, encoding="utf-8")
        with log.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n\n".join([f"## {self.title}", *self.parts]) + "\n")


def mib(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
