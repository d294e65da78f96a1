"""What a plot is: how rows are drawn, and what a job needs for it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from app.plots.drawing.sheet import Sheet
from layerscope.names import Scope

PlotRow = Mapping[str, Any]
Table = Literal["results", "comparison", "first_token", "massive_tokens"]

SCOPE_WORDS = {
    "all": "scope all: all tokens",
    "rest": "scope rest: all tokens except the first",
    "typical": "scope typical: all tokens except the first and the massive ones",
}


@dataclass(frozen=True)
class JobContents:
    """What a finished job has measured."""

    components: Collection[str]
    domains: int  # that have a measured text
    analyses: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Plot(ABC):
    title: str
    scope: str
    table: Table = "results"  # the file that holds its numbers
    components: tuple[str, ...] = ("block",)
    domains: int = 1  # least number
    analysis: str | None = None

    @abstractmethod
    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        """Draws the rows of a job that has everything the plot needs; domains in the order in which they are.

        Rows of the table `results` are those of `places`, rows of `comparison` those of the plot's metric,
        scope and component.
        """

    @property
    def places(self) -> Sequence[tuple[str, str]]:
        """The scopes and components whose rows the plot shows."""
        return [(self.scope, component) for component in self.components]

    def in_scope_of(self, scopes: Collection[str]) -> Self:
        """The plot for a job with these scopes: jobs of earlier versions have `rest` instead of `typical`."""
        return self if self.scope in scopes else replace(self, scope=Scope.REST.value)

    def unavailable_reason(self, measured: JobContents) -> str | None:
        """A sentence that says why a job does not have this plot; None if it has it."""
        if not measured.domains:
            return "None of the job's texts could be measured."
        missing = [component for component in self.components if component not in measured.components]
        if missing:
            return f"It shows {' and '.join(missing)}, which the job's option `components` excludes."
        if measured.domains < self.domains:
            return "It compares domains, but texts of only one domain were measured."
        if self.analysis is not None and self.analysis not in measured.analyses:
            return f'It requires a job with the option `"analyses": ["{self.analysis}"]`.'
        return None
