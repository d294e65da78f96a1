"""What a picture is: a drawing of rows, and what a job must have for it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

Row = Mapping[str, Any]
Table = Literal["results", "comparison", "first_token"]

SCOPE_WORDS = {
    "all": "scope all: every token, the first of each text too",
    "rest": "scope rest: all but the first token of each text",
}


@dataclass(frozen=True)
class JobContents:
    """What there is of a finished job."""

    components: Collection[str]
    domains: int  # with a measured text
    analyses: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Picture(ABC):
    title: str
    scope: str
    table: Table = "results"  # the file that holds its numbers
    components: tuple[str, ...] = ("block",)
    domains: int = 1  # at least
    analysis: str | None = None

    @abstractmethod
    def draw(self, figure: Figure, rows: Sequence[Row], caption: str) -> None:
        """The rows are those of a job that lacks nothing, in the order of their file.

        Of the table `comparison` they are those of the picture's metric, scope and component alone.
        """

    def lack(self, measured: JobContents) -> str | None:
        """Why a job has no such picture, as a sentence; none: it has one."""
        if not measured.domains:
            return "None of the job's texts could be measured."
        missing = [component for component in self.components if component not in measured.components]
        if missing:
            return f"It shows {' and '.join(missing)}, which the job's option `components` leaves out."
        if measured.domains < self.domains:
            return "It sets domains against each other, and texts of a single one were measured."
        if self.analysis is not None and self.analysis not in measured.analyses:
            return f'It needs a job with the option `"analyses": ["{self.analysis}"]`.'
        return None
