"""The difference between two domains in each layer: Hedges' g with its interval, a panel for each pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.plots.drawing.layout import (
    HEIGHTS,
    Layout,
    LegendKey,
    PanelCell,
    columns_for,
    place_panels,
    usual_width,
)
from app.plots.drawing.lines import column
from app.plots.drawing.panel import Panel, Series
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import layer_scale, scale_over
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.significance import split
from app.plots.drawing.style import NOT_SIGNIFICANT, SIGNIFICANT
from app.plots.drawing.words import titled
from layerscope.names import LARGEST_Q

MOST_PAIRS = 16  # more panels would be too small to read, or the plot too high
NAME_LINES = 3  # of each of the two names
LEAST_REACH = 0.5  # of the y axis on both sides of 0: a medium effect
LONGEST_INTERVAL = 2  # times the largest effect; few texts have longer ones, which are cut
WORDS = "Above 0, the first domain has the larger mean. Bars: 95 % confidence intervals of g"


@dataclass(frozen=True)
class DomainPair:
    """The comparisons of two domains, by layer."""

    rows: Sequence[PlotRow]

    def title(self, inches: float) -> tuple[str, ...]:
        a, b = (self.rows[0][name] for name in ("domain_a", "domain_b"))
        texts = [max(row[name] for row in self.rows) for name in ("texts_a", "texts_b")]
        return titled([f"{a} −", b], "(n = {} and {})".format(*texts), inches, NAME_LINES)

    @property
    def differing(self) -> int:
        """The number of layers with a significant difference."""
        return sum(_is_significant(row) for row in self.rows)

    @property
    def mean_effect(self) -> float:
        effects = _effects(self.rows)
        return sum(effects) / len(effects) if effects else 0.0


@dataclass(frozen=True, kw_only=True)
class Effect(Plot):
    metric: str

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        pairs = _pairs(rows)
        shown = pairs if len(pairs) <= MOST_PAIRS else _most_differing(pairs)
        columns = columns_for(len(shown))
        inches, height = usual_width(columns), HEIGHTS[columns]
        reach, cut = _reach([row for pair in shown for row in pair.rows])
        y = scale_over([-reach, reach], height, padded=False)
        names = {SIGNIFICANT: f"q < {LARGEST_Q}", NOT_SIGNIFICANT: f"q ≥ {LARGEST_Q}"}
        layout = Layout(
            title=self.title,
            caption=[caption, WORDS, self._tests(pairs), *_left_out(pairs, shown), *cut],
            cells=[PanelCell(pair.title(inches), layer_scale(len(pair.rows), inches), y) for pair in shown],
            columns=columns,
            height=height,
            y_label=f"Hedges' g of {self.metric} (standard deviations)",
            legends={0: [LegendKey(name, look) for look, name in names.items()]},
        )
        for panel, pair in zip(place_panels(sheet, layout), shown, strict=True):
            _draw_pair(panel, pair)

    def _tests(self, pairs: Sequence[DomainPair]) -> str:
        count = sum(row["q_value"] is not None for pair in pairs for row in pair.rows)
        over = f"q: Benjamini and Hochberg over all {count} tests (layers × pairs)"
        return f"{over}; {SCOPE_WORDS[self.scope]}"


EFFECT = Effect(
    title="Difference between the domains in each layer (Hedges' g)",
    metric="relative_norm",
    scope="typical",
    table="comparison",
    domains=2,
)


def _pairs(rows: Sequence[PlotRow]) -> list[DomainPair]:
    found: dict[tuple[str, str], list[PlotRow]] = {}
    for row in rows:
        found.setdefault((row["domain_a"], row["domain_b"]), []).append(row)
    return [DomainPair(of_pair) for of_pair in found.values()]


def _most_differing(pairs: Sequence[DomainPair]) -> list[DomainPair]:
    return sorted(pairs, key=lambda pair: (-pair.differing, -pair.mean_effect))[:MOST_PAIRS]


def _left_out(pairs: Sequence[DomainPair], shown: Sequence[DomainPair]) -> list[str]:
    if len(shown) == len(pairs):
        return []
    others = [pair for pair in pairs if pair not in shown]
    differing = sum(pair.differing > 0 for pair in others)
    return [
        f"The plot shows {len(shown)} of {len(pairs)} pairs: those with the most layers with"
        f" q < {LARGEST_Q}, then by mean |g|. Other pairs with such a layer: {differing}."
        " comparison.csv contains all pairs"
    ]


def _reach(rows: Sequence[PlotRow]) -> tuple[float, list[str]]:
    """The limit of the y axis on both sides, and a sentence for the caption if intervals are cut."""
    ends = [abs(row[end]) for row in rows for end in ("g_ci_low", "g_ci_high") if row[end] is not None]
    longest = LONGEST_INTERVAL * max(_effects(rows), default=0.0)
    reach = 1.05 * max(LEAST_REACH, min(longest, max(ends, default=0.0)))
    return reach, ["Intervals that are longer than the axis are cut"] if max(
        ends, default=0.0
    ) > reach else []


def _draw_pair(panel: Panel, pair: DomainPair) -> None:
    panel.level(0)
    if not _effects(pair.rows):
        panel.say("no value in any layer")
        return
    for look, layers in split(np.array([_is_significant(row) for row in pair.rows])):
        rows = [pair.rows[layer] for layer in layers]
        series = Series(column(rows, "layer"), column(rows, "hedges_g"), look)
        panel.intervals(series, column(rows, "g_ci_low"), column(rows, "g_ci_high"))
        panel.line(series)


def _effects(rows: Sequence[PlotRow]) -> list[float]:
    """|g| of each row that has a value."""
    return [abs(row["hedges_g"]) for row in rows if row["hedges_g"] is not None]


def _is_significant(row: PlotRow) -> bool:
    return row["q_value"] is not None and row["q_value"] < LARGEST_Q
