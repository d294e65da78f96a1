"""Layer rows sorted into lines: one domain, one component, every layer."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.figure import Figure

from app.vocabulary import POOLED_DOMAIN

Row = Mapping[str, Any]

NAME_LENGTH = 18
SCOPE_WORDS = {
    "all": "scope all: every token, the first of each text too",
    "rest": "scope rest: all but the first token of each text",
}


@dataclass(frozen=True)
class Line:
    domain: str
    component: str
    rows: Sequence[Row]

    @property
    def title(self) -> str:
        return f"{_shortened(self.domain)} (n = {self.rows[0]['texts']})"

    def column(self, name: str) -> list[float]:
        return [math.nan if row[name] is None else row[name] for row in self.rows]


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH // 2]}…{name[-NAME_LENGTH // 2 + 1 :]}"


class Picture(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def scope(self) -> str: ...

    @property
    def components(self) -> tuple[str, ...]: ...

    def draw(self, figure: Figure, lines: list[Line], caption: str) -> None: ...


def by_layer(rows: Iterable[Row], scope: str, components: Sequence[str]) -> list[Line]:
    """The lines of a scope by domain, then by component as they are given; without the pool."""
    grouped: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row["scope"] == scope and row["component"] in components and row["domain"] != POOLED_DOMAIN:
            key = row["domain"], components.index(row["component"])
            grouped.setdefault(key, []).append(row)
    return [
        Line(domain, components[component], sorted(of_line, key=lambda row: row["layer"]))
        for (domain, component), of_line in sorted(grouped.items())
    ]
