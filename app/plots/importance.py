"""What a layer writes against what skipping it costs: a point for each layer, a panel for each domain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from app.plots.canvas import (
    INK,
    QUIET,
    SHADES,
    columns_and_height,
    layer_ticks,
    panels,
    settle,
    write_instead,
)
from app.plots.labels import label_points
from app.plots.lines import Line, lines_in_scope, lines_of, shortened
from app.plots.picture import SCOPE_WORDS, Picture, Row
from app.plots.scales import scale_around_zero, scale_logarithmically

COST = "ablation_nll"
WORDS = (
    "Number and shade: the layer (numbers where there is room); bars: 95 % confidence intervals of the means"
)
COST_WORDS = f"{COST}: rise of the loss if the layer is skipped, of the ablated texts"
NO_VALUE = "no layer has both values"


@dataclass(frozen=True)
class Cloud:
    """A domain's layers: what they write, and what skipping them costs."""

    written: Line
    cost: Line

    @property
    def title(self) -> str:
        texts, analysed = self.written.rows[0]["texts"], self.cost.rows[0]["analysis_texts"]
        return f"{shortened(self.written.domain)}\n(n = {texts}; {analysed} ablated)"

    def points(self, metric: str) -> NDArray[np.float64]:
        """(L, 2), nan where a layer has no value."""
        return np.array([self.written.column(metric), self.cost.column(COST)]).T


@dataclass(frozen=True, kw_only=True)
class Importance(Picture):
    metric: str

    def draw(self, figure: Figure, rows: Sequence[Row], caption: str) -> None:
        cost = lines_of([row for row in rows if row["scope"] == "all"], self.components)
        clouds = [Cloud(*both) for both in zip(lines_in_scope(self, rows), cost, strict=True)]
        scopes = f"{self.metric}: {SCOPE_WORDS[self.scope]}, n texts, log scale; {COST_WORDS}"
        columns, height = columns_and_height(len(clouds))
        heading = self.title, [caption, WORDS, scopes]
        grid = panels(figure, heading, len(clouds), columns, height + 0.2, sharex=True, sharey=True)
        linear = scale_around_zero(grid[0], [value for line in cost for value in line.column(COST)])
        depth = ScalarMappable(Normalize(0, len(cost[0].rows) - 1), SHADES)
        for axes, cloud in zip(grid, clouds, strict=True):
            _draw_cloud(axes, cloud, self.metric, depth)
        scale_logarithmically(grid[0], "x")
        for axes in grid[-columns:]:
            axes.set_xlabel(f"{self.metric} (no unit)")
            axes.xaxis.set_tick_params(labelbottom=True)
        figure.supylabel(f"{COST} (nat, linear within ± {linear:g})", fontsize=11)
        bar = figure.colorbar(depth, ax=grid, pad=0.01, aspect=40, label="layer")
        bar.ax.yaxis.set_major_locator(layer_ticks(10))
        settle(figure)
        for axes, cloud in zip(grid, clouds, strict=True):
            label_points(
                axes, cloud.points(self.metric), [str(layer) for layer in cloud.cost.column("layer")]
            )


IMPORTANCE = Importance(
    title="What each layer writes against what skipping it costs",
    metric="relative_norm",
    scope="rest",
    analysis="ablation",
)


def _draw_cloud(axes: Axes, cloud: Cloud, metric: str, depth: ScalarMappable) -> None:
    points = cloud.points(metric)
    written, cost = cloud.written.column, cloud.cost.column
    axes.axhline(0, color=QUIET, linewidth=0.8)
    bars = (
        axes.vlines(points[:, 0], cost(f"{COST}_ci_low"), cost(f"{COST}_ci_high")),
        axes.hlines(points[:, 1], written(f"{metric}_ci_low"), written(f"{metric}_ci_high")),
    )
    for bar in bars:
        bar.set(color=QUIET, linewidth=0.7)
    shades = depth.to_rgba(np.array(cost("layer")))
    axes.scatter(points[:, 0], points[:, 1], s=26, c=shades, edgecolors=INK, linewidths=0.5, zorder=3)
    axes.set_title(cloud.title)
    if not np.isfinite(points).all(axis=1).any():
        write_instead(axes, NO_VALUE)
