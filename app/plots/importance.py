"""What a layer writes against what skipping it costs: a point for each layer, a panel for each domain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from app.plots.drawing.canvas import (
    INK,
    MUTED,
    SHADES,
    columns_and_height,
    fix_layout,
    layer_ticks,
    panels,
    write_instead,
)
from app.plots.drawing.labels import label_points
from app.plots.drawing.lines import Line, lines_in_scope, lines_of, shortened
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import scale_around_zero, scale_logarithmically

COST = "ablation_nll"
WORDS = (
    "Number and colour: the layer (a number is omitted if there is no space)."
    " Bars: 95 % confidence intervals of the means. Triangle: layer 0 is outside the axes"
)
COST_WORDS = f"{COST}: increase of the loss when the layer is skipped, mean over the ablated texts"
NO_VALUE = "no layer has both values"


@dataclass(frozen=True)
class Cloud:
    """A domain's layers: what they write, and what skipping them costs."""

    written: Line
    cost: Line
    metric: str

    @property
    def title(self) -> str:
        texts, analysed = self.written.rows[0]["texts"], self.cost.rows[0]["analysis_texts"]
        return f"{shortened(self.written.domain)}\n(n = {texts}; {analysed} ablated)"

    @property
    def points(self) -> NDArray[np.float64]:
        """(L, 2), nan where a layer has no value."""
        return np.array([self.written.column(self.metric), self.cost.column(COST)]).T


@dataclass(frozen=True, kw_only=True)
class Importance(Plot):
    metric: str

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        cost = lines_of([row for row in rows if row["scope"] == "all"], self.components)
        clouds = [Cloud(*both, self.metric) for both in zip(lines_in_scope(self, rows), cost, strict=True)]
        scopes = f"{self.metric}: {SCOPE_WORDS[self.scope]}, n texts, log scale; {COST_WORDS}"
        columns, height = columns_and_height(len(clouds))
        heading = self.title, [caption, WORDS, scopes]
        grid = panels(figure, heading, len(clouds), columns, height + 0.2, sharex=True, sharey=True)
        linear = scale_around_zero(grid[0], [value for line in cost for value in line.column(COST)])
        depth = ScalarMappable(Normalize(0, len(cost[0].rows) - 1), SHADES)
        _draw_clouds(grid, clouds, depth)
        for axes in grid[-columns:]:
            axes.set_xlabel(f"{self.metric} (no unit)")
            axes.xaxis.set_tick_params(labelbottom=True)
        figure.supylabel(f"{COST} (nat, linear within ± {linear:g})", fontsize=11)
        bar = figure.colorbar(depth, ax=grid, pad=0.01, aspect=40, label="layer")
        bar.ax.yaxis.set_major_locator(layer_ticks(10))
        fix_layout(figure)
        for axes, cloud in zip(grid, clouds, strict=True):
            _name_layers(axes, cloud)


IMPORTANCE = Importance(
    title="What each layer writes against what skipping it costs",
    metric="relative_norm",
    scope="typical",
    analysis="ablation",
)


def _draw_clouds(grid: Sequence[Axes], clouds: Sequence[Cloud], depth: ScalarMappable) -> None:
    """Draws the layers of all panels on the same axes.

    Layer 0 receives only the embedding and may be far outside the range of the others. Only the other layers
    determine the axes.
    """
    later = int(any(_placed(cloud.points[1:]).any() for cloud in clouds))
    for axes, cloud in zip(grid, clouds, strict=True):
        _draw_frame(axes, cloud)
        _draw_layers(axes, cloud, slice(later, None), depth)
    scale_logarithmically(grid[0], "x")
    if not any(_placed(cloud.points).any() for cloud in clouds):
        grid[0].set_xticks([])  # there is nothing to scale
    grid[0].set(xlim=grid[0].get_xlim(), ylim=grid[0].get_ylim())
    for axes, cloud in zip(grid, clouds, strict=True):
        _draw_layers(axes, cloud, slice(0, later), depth)


def _placed(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(L,): whether a layer has a place on these axes."""
    return np.isfinite(points).all(axis=1) & (points[:, 0] > 0)


def _draw_frame(axes: Axes, cloud: Cloud) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set_title(cloud.title)
    if not np.isfinite(cloud.points).all(axis=1).any():
        write_instead(axes, NO_VALUE)


def _draw_layers(axes: Axes, cloud: Cloud, layers: slice, depth: ScalarMappable) -> None:
    written, cost = cloud.written.column, cloud.cost.column
    x, y = cloud.points[layers].T
    bars = (
        axes.vlines(x, cost(f"{COST}_ci_low")[layers], cost(f"{COST}_ci_high")[layers]),
        axes.hlines(y, written(f"{cloud.metric}_ci_low")[layers], written(f"{cloud.metric}_ci_high")[layers]),
    )
    for bar in bars:
        bar.set(color=MUTED, linewidth=0.7)
    shades = depth.to_rgba(np.array(cost("layer")[layers]))
    axes.scatter(x, y, s=26, c=shades, edgecolors=INK, linewidths=0.5, zorder=3)


def _name_layers(axes: Axes, cloud: Cloud) -> None:
    points, names = cloud.points, [f"{layer}" for layer in cloud.cost.column("layer")]
    edge = np.clip(points[0], *np.transpose([axes.get_xlim(), axes.get_ylim()]))
    if _placed(points)[0] and (edge != points[0]).any():
        _point_beyond(axes, edge, points[0])
        names[0] += " ({:.3g}; {:.3g})".format(*points[0])
        points[0] = edge
    label_points(axes, points, names)


def _point_beyond(axes: Axes, edge: NDArray[np.float64], place: NDArray[np.float64]) -> None:
    across, up = axes.transData.transform(place) - axes.transData.transform(edge)
    triangle = (3, 0, math.degrees(math.atan2(up, across)) - 90)
    axes.plot(*edge, marker=triangle, markersize=8, color=INK, clip_on=False)
