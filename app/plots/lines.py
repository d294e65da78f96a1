"""Layer rows sorted into lines: one domain, one component, every layer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.plots.picture import Picture, Row
from app.vocabulary import POOLED_DOMAIN

NAME_LENGTH = 18


@dataclass(frozen=True)
class Line:
    domain: str
    component: str
    rows: Sequence[Row]

    @property
    def title(self) -> str:
        return f"{shortened(self.domain)} (n = {self.rows[0]['texts']})"

    def column(self, name: str) -> list[float]:
        return column(self.rows, name)


def column(rows: Iterable[Row], name: str) -> list[float]:
    return [math.nan if row[name] is None else row[name] for row in rows]


def shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH // 2]}…{name[-NAME_LENGTH // 2 + 1 :]}"


def lines_of(picture: Picture, rows: Iterable[Row]) -> list[Line]:
    """The lines of a picture's scope by domain, then by component in its order; without the pool."""
    grouped: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        shown = row["scope"] == picture.scope and row["component"] in picture.components
        if shown and row["domain"] != POOLED_DOMAIN:
            key = row["domain"], picture.components.index(row["component"])
            grouped.setdefault(key, []).append(row)
    return [
        Line(domain, picture.components[component], sorted(of_line, key=lambda row: row["layer"]))
        for (domain, component), of_line in sorted(grouped.items())
    ]
