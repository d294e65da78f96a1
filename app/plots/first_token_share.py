"""The shares of the first token in the numbers of each layer: two shares, a panel for each domain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.plots.drawing.canvas import LOOKS, MUTED, add_legend, draw_line, layer_panels
from app.plots.drawing.lines import Line, lines_of
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow

SHARES = {
    "mean_share": "share of the mean: mean(first / T) / mean(all)",
    "variance_share": "share of the sample variance over texts: cov(first / T, all) / var(all)",
}
WORDS = (
    "T: number of tokens of the text. At 1, the whole value comes from the first token."
    " A share of the sample variance can be below 0 or above 1"
)
LOWEST, HIGHEST = -1.0, 2.0  # of the y axis: a share of the variance can be any number
PAD = 0.08


@dataclass(frozen=True, kw_only=True)
class FirstToken(Plot):
    metric: str

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        lines = lines_of(rows, self.components)
        low, high = limits = _limits(lines)
        beyond = any(not low <= share <= high for line in lines for share in _shares(line))
        cut = ["A triangle at the edge marks a share outside the axis"] if beyond else []
        heading = self.title, [caption, f"{WORDS}; {SCOPE_WORDS[self.scope]}", *cut]
        grid = layer_panels(figure, heading, len(lines), len(lines[0].rows), legend=True)
        grid[0].set_ylim(limits)
        for axes, line in zip(grid, lines, strict=True):
            _draw_shares(axes, line, limits)
        figure.supylabel(f"share of {self.metric} (no unit)", fontsize=11)
        add_legend(figure, grid[0].get_lines()[2:4], list(SHARES.values()))


FIRST_TOKEN = FirstToken(
    title="Share of the first token in the mean absolute contribution of each layer",
    metric="delta_abs_mean",
    scope="all",
    table="first_token",
)


def _shares(line: Line) -> list[float]:
    return [share for name in SHARES for share in line.column(name) if not math.isnan(share)]


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """From 0 to 1, extended to the most extreme shares but not beyond LOWEST and HIGHEST."""
    shares = list(chain.from_iterable(_shares(line) for line in lines))
    low, high = min([0.0, *shares]), max([1.0, *shares])
    return max(low, LOWEST) - PAD, min(high, HIGHEST) + PAD


def _draw_shares(axes: Axes, line: Line, limits: tuple[float, float]) -> None:
    layers = line.column("layer")
    for whole in (0, 1):
        axes.axhline(whole, color=MUTED, linewidth=0.8)
    for name, look in zip(SHARES, LOOKS, strict=False):
        shares = line.column(name)
        draw_line(axes, layers, shares, look)
        _mark_beyond(axes, layers, shares, limits, colour=look[0])
    axes.set_title(line.title)


def _mark_beyond(
    axes: Axes,
    layers: Sequence[float],
    shares: Sequence[float],
    limits: tuple[float, float],
    colour: str,
) -> None:
    for edge, marker, sign in ((limits[0], "v", -1), (limits[1], "^", 1)):
        beyond = [layer for layer, share in zip(layers, shares, strict=True) if sign * (share - edge) > 0]
        axes.scatter(beyond, [edge] * len(beyond), s=45, color=colour, marker=marker, clip_on=False)
