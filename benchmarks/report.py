"""The results as Markdown: printed immediately, and appended to LOG.md at the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOG_HEAD = """# Measurements

`make bench` (`python -m benchmarks --help`) appends an entry for each run; the newest entry is the last. No
entry is removed because its result is unfavourable. A result such as 2.04 [1.60–2.42] is a median with its
quartiles. Ratios are computed round by round, because other programs on the machine then slow down both
sides. "At best" is the ratio of the shortest times, which estimates the result on an idle machine. The
weights of the models are random: speed does not depend on their values.
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
            log.write_text(LOG_HEAD, encoding="utf-8")
        with log.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n\n".join([f"## {self.title}", *self.parts]) + "\n")


def mib(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
