"""Layer rows sorted into lines: one domain, one component, every layer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.plots.drawing.plot import Plot, PlotRow
from layerscope.names import POOLED_DOMAIN

NAME_LENGTH = 18


@dataclass(frozen=True)
class Line:
    domain: str
    component: str
    rows: Sequence[PlotRow]

    @property
    def title(self) -> str:
        return f"{shortened(self.domain)} (n = {self.rows[0]['texts']})"

    def column(self, name: str) -> list[float]:
        return column(self.rows, name)


def column(rows: Iterable[PlotRow], name: str) -> list[float]:
    return [math.nan if row[name] is None else row[name] for row in rows]


def shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH // 2]}…{name[-NAME_LENGTH // 2 + 1 :]}"


def lines_of(rows: Iterable[PlotRow], components: Sequence[str]) -> list[Line]:
    """In the order of the rows; without the pool."""
    grouped: dict[tuple[str, str], list[PlotRow]] = {}
    for row in rows:
        if row["component"] in components and row["domain"] != POOLED_DOMAIN:
            grouped.setdefault((row["domain"], row["component"]), []).append(row)
    return [Line(*place, of_line) for place, of_line in grouped.items()]


def lines_in_scope(plot: Plot, rows: Iterable[PlotRow]) -> list[Line]:
    return lines_of([row for row in rows if row["scope"] == plot.scope], plot.components)
