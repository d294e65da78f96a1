"""The difference between two domains in each layer: Hedges' g with its interval, a panel for each pair."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.plots.drawing.canvas import LOOKS, MUTED, add_legend, layer_panels, marker_size, write_instead
from app.plots.drawing.lines import column, shortened
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow

MOST_PAIRS = 16  # more panels would be too small to read, or the plot too high
TITLE_CHARACTERS = 26  # of a line of a panel's title, if there are four panels in a row
SIGNIFICANT = 0.05  # largest q
LEAST_REACH = 0.5  # of the y axis on both sides of 0: a medium effect
LONGEST_INTERVAL = 2  # times the largest effect; few texts have longer ones, which are cut
COLOUR = LOOKS[0][0]
WORDS = "Above 0, the first domain has the larger mean. Bars: 95 % confidence intervals of g"


@dataclass(frozen=True)
class DomainPair:
    """The comparisons of two domains, by layer."""

    rows: Sequence[PlotRow]

    @property
    def title(self) -> str:
        a, b = (shortened(self.rows[0][name]) for name in ("domain_a", "domain_b"))
        texts = (max(row[name] for row in self.rows) for name in ("texts_a", "texts_b"))
        names = textwrap.fill(f"{a} − {b}", TITLE_CHARACTERS, break_on_hyphens=False)
        return "{}\n(n = {} and {})".format(names, *texts)

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

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        pairs = _pairs(rows)
        shown = pairs if len(pairs) <= MOST_PAIRS else _most_differing(pairs)
        reach, cut = _reach([row for pair in shown for row in pair.rows])
        heading = self.title, [caption, WORDS, self._tests(pairs), *_left_out(pairs, shown), *cut]
        layers = len(shown[0].rows)
        grid = layer_panels(figure, heading, len(shown), layers, legend=True)
        for axes, pair in zip(grid, shown, strict=True):
            _draw_pair(axes, pair)
        grid[0].set_ylim(-reach, reach)
        figure.supylabel(f"Hedges' g of {self.metric} (standard deviations)", fontsize=11)
        add_legend(figure, grid[0].get_lines()[1:3], [f"q < {SIGNIFICANT}", f"q ≥ {SIGNIFICANT}"])

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
        f" q < {SIGNIFICANT}, then by mean |g|. Other pairs with such a layer: {differing}."
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


def _draw_pair(axes: Axes, pair: DomainPair) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.8)
    for significant in (True, False):
        rows = [row for row in pair.rows if _is_significant(row) == significant]
        layers, colour = column(rows, "layer"), COLOUR if significant else MUTED
        axes.vlines(layers, column(rows, "g_ci_low"), column(rows, "g_ci_high"), color=colour, linewidth=1.1)
        axes.plot(
            layers,
            column(rows, "hedges_g"),
            color=colour,
            marker="o" if significant else "D",
            markerfacecolor=colour if significant else "white",
            markersize=marker_size(len(pair.rows)),
            linestyle="",
        )
    axes.set_title(pair.title)
    if not _effects(pair.rows):
        write_instead(axes, "no value in any layer")


def _effects(rows: Sequence[PlotRow]) -> list[float]:
    """|g| of each row that has a value."""
    return [abs(row["hedges_g"]) for row in rows if row["hedges_g"] is not None]


def _is_significant(row: PlotRow) -> bool:
    return row["q_value"] is not None and row["q_value"] < SIGNIFICANT
