"""Layer rows sorted into lines: one domain, one component, every layer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.plots.drawing.panel import Series
from app.plots.drawing.plot import PlotRow
from app.plots.drawing.style import Look
from layerscope.names import POOLED_DOMAIN

GROUP = 4  # lines on one pair of axes; more hide each other


@dataclass(frozen=True)
class Line:
    domain: str
    component: str
    rows: Sequence[PlotRow]

    @property
    def texts(self) -> int:
        """The most texts of any layer."""
        return max(int(row["texts"]) for row in self.rows)

    @property
    def note(self) -> str:
        return f"(n = {self.texts})"

    def column(self, name: str) -> list[float]:
        return column(self.rows, name)

    def series(self, name: str, look: Look) -> Series:
        return Series(self.column("layer"), self.column(name), look)


def column(rows: Iterable[PlotRow], name: str) -> list[float]:
    return [math.nan if row[name] is None else row[name] for row in rows]


def table(lines: Iterable[Line], name: str) -> NDArray[np.float64]:
    """(lines, L), nan where a layer has no value."""
    return np.array([line.column(name) for line in lines], float)


def lines_of(rows: Iterable[PlotRow], scope: str | None = None) -> list[Line]:
    """In the order of the rows, without the pool; `scope`: only its rows."""
    grouped: dict[tuple[str, str], list[PlotRow]] = {}
    for row in rows:
        if row["domain"] != POOLED_DOMAIN and scope in (None, row.get("scope")):
            grouped.setdefault((row["domain"], row.get("component", "")), []).append(row)
    return [Line(*place, of_line) for place, of_line in grouped.items()]


def by_domain(lines: Sequence[Line]) -> list[list[Line]]:
    grouped: dict[str, list[Line]] = {}
    for line in lines:
        grouped.setdefault(line.domain, []).append(line)
    return list(grouped.values())


def in_groups(lines: Sequence[Line]) -> list[list[Line]]:
    """GROUP lines at a time."""
    return [list(lines[start : start + GROUP]) for start in range(0, len(lines), GROUP)]
