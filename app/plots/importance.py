"""What a layer writes against what skipping it costs: a point for each layer, a panel for each domain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.path import Path
from numpy.typing import NDArray

from app.plots.ablation_cost import COST, COST_WORDS
from app.plots.drawing.colour_bar import bar_inches, draw_bar, shades
from app.plots.drawing.labels import Label, label_points
from app.plots.drawing.layout import (
    HEIGHTS,
    Layout,
    LegendKey,
    PanelCell,
    columns_for,
    place_panels,
    usual_width,
)
from app.plots.drawing.lines import Line, lines_of, table
from app.plots.drawing.outside import LayerAxis, layer_axis
from app.plots.drawing.panel import INTERVAL_ORDER, LINE_ORDER, OUTSIDE_ROW, TRIANGLE, Panel
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import Array, Scale, figure, layer_scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.significance import INTERVAL_KEYS, excludes_zero
from app.plots.drawing.style import INK, MUTED, NOT_SIGNIFICANT, Look
from app.plots.drawing.words import titled
from layerscope.names import ANALYSIS_PLACE

WORDS = (
    "Number and colour: the layer. A point whose number could be taken for that of another point has none."
    " Bars: 95 % confidence intervals of the means"
)
NO_VALUE = "no layer has both values"
TALLER = 0.5  # inches of a panel more than in other plots, because it has no layer axis
DOT = 5.0  # points
KEY_LOOKS = (Look(INK, "o", face="#8e8978"), NOT_SIGNIFICANT)
NEAR = 1e-9  # inches of rounding
POINTER = np.array([[0, 0.7], [-0.4, -0.45], [0.4, -0.45], [0, 0.7]])  # upwards


@dataclass(frozen=True)
class Cloud:
    """A domain's layers: what they write, and what skipping them costs."""

    written: Line
    cost: Line
    metric: str

    def title(self, inches: float) -> tuple[str, ...]:
        analysed = self.cost.rows[0]["analysis_texts"] or 0
        return titled(
            [self.written.domain], f"(n = {self.written.rows[0]['texts']}; {analysed} ablated)", inches
        )

    @property
    def points(self) -> Array:
        """(L, 2), nan where a layer has no value."""
        return np.array([self.written.column(self.metric), self.cost.column(COST)]).T

    @property
    def significant(self) -> NDArray[np.bool_]:
        """(L,): whether skipping a layer changes the loss with certainty."""
        low, high = (np.array(self.cost.column(f"{COST}_{end}")) for end in ("ci_low", "ci_high"))
        return excludes_zero(low, high)


@dataclass(frozen=True, kw_only=True)
class Importance(Plot):
    metric: str

    @property
    def places(self) -> Sequence[tuple[str, str]]:
        return [(self.scope, "block"), ANALYSIS_PLACE]

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        written, cost = lines_of(rows, self.scope), lines_of(rows, ANALYSIS_PLACE[0])
        clouds = [Cloud(*both, self.metric) for both in zip(written, cost, strict=True)]
        columns = columns_for(len(clouds))
        inches, height = usual_width(columns), HEIGHTS[columns] + TALLER
        x = _axis(written, self.metric, inches, along_y=False)
        y = _axis(cost, COST, height, along_y=True)
        depth = replace(
            layer_scale(len(cost[0].rows), height), low=0.0, high=max(1.0, len(cost[0].rows) - 1.0)
        )
        layout = Layout(
            title=self.title,
            caption=[caption, WORDS, self._scopes(), *_outside_words(x, y)],
            cells=[PanelCell(cloud.title(inches), x.scale, y.scale) for cloud in clouds],
            columns=columns,
            height=height,
            x_label=f"{self.metric} (no unit, log scale)",
            y_label=f"{COST} (nat)",
            legends={0: [LegendKey(*each) for each in zip(INTERVAL_KEYS.values(), KEY_LOOKS, strict=True)]},
            right=bar_inches(depth, "layer"),
        )
        panels = place_panels(sheet, layout)
        for panel, cloud in zip(panels, clouds, strict=True):
            _draw_cloud(panel, cloud, depth)
        draw_bar(panels[:columns], depth, "layer")

    def _scopes(self) -> str:
        return f"{self.metric}: {SCOPE_WORDS[self.scope]}, n texts; {COST_WORDS}"


IMPORTANCE = Importance(
    title="What each layer writes against what skipping it costs",
    metric="relative_norm",
    scope="typical",
    analysis="ablation",
)


def _axis(lines: Sequence[Line], metric: str, inches: float, *, along_y: bool) -> LayerAxis:
    """Above and below the axis there is a row for each layer outside."""
    ends = [table(lines, f"{metric}_{end}") for end in ("ci_low", "ci_high")]
    axis = layer_axis(
        table(lines, metric), inches, intervals=ends, logarithmic=not along_y, with_zero=along_y
    )
    if not along_y:
        return axis
    rows = max(1, len(axis.outside))
    room = {name: rows * getattr(axis.scale, name) for name in ("outside_low", "outside_high")}
    return replace(axis, scale=replace(axis.scale, **room))


def _outside_words(x: LayerAxis, y: LayerAxis) -> list[str]:
    beyond = any(length for axis in (x, y) for length in (axis.scale.outside_low, axis.scale.outside_high))
    words = "Triangles: layers outside the axes, with their number, relative_norm and ablation_nll"
    return [*[words] * beyond, *dict.fromkeys(cut for axis in (x, y) for cut in axis.cut)]


def _draw_cloud(panel: Panel, cloud: Cloud, depth: Scale) -> None:
    panel.shade_outside()
    panel.level(0)
    points, significant = cloud.points, cloud.significant
    places = panel.at(*points.T)
    found: NDArray[np.bool_] = np.all(np.isfinite(places), axis=1)
    if not found.any():
        panel.say(NO_VALUE)
        return
    dots = _moved_inside(panel, np.where(found[:, None], places, np.nan))
    outside = found & np.any(dots != places, axis=1)
    colours = shades(depth.places(cloud.cost.column("layer"), 0, 1))
    for layer in np.flatnonzero(outside):
        _draw_pointer(panel, dots[layer], places[layer])
    bars = [
        _draw_layers(panel, cloud, shown & found & ~outside, colours) for shown in (~significant, significant)
    ]
    _name_layers(panel, cloud, dots, outside, np.concatenate(bars))


def _moved_inside(panel: Panel, places: Array) -> Array:
    """Points outside are in the strips at the edges: above and below, each in a row of its own."""
    (left, bottom), (right, top) = panel.at([panel.x.low, panel.x.high], [panel.y.low, panel.y.high])
    x, y = places.T.copy()
    x[places[:, 0] < left - NEAR] = (left + panel.left) / 2
    x[places[:, 0] > right + NEAR] = (right + panel.right) / 2
    for found, edge, inwards in ((y > top + NEAR, panel.top, -1), (y < bottom - NEAR, panel.bottom, 1)):
        y[found] = edge + inwards * OUTSIDE_ROW * (np.arange(found.sum()) + 0.5)
    return np.stack([x, y], axis=1)


def _draw_pointer(panel: Panel, dot: Array, place: Array) -> None:
    """A triangle that points to the place."""
    direction = (place - dot) / math.dist(place, dot)
    turned = np.array([[direction[1], direction[0]], [-direction[0], direction[1]]])
    panel.sheet.marks([dot], marker=Path(POINTER @ turned.T), markersize=TRIANGLE + 1.5, color=INK)


def _draw_layers(panel: Panel, cloud: Cloud, shown: NDArray[np.bool_], colours: Array) -> Array:
    """Layers that are all significant, or all not; (n, 2, 2): the ends of their bars."""
    layers = np.flatnonzero(shown)
    points = cloud.points[layers]
    certain = bool(cloud.significant[layers].any())
    bars = _bars(panel, cloud, layers)
    panel.sheet.strokes(list(bars), MUTED if certain else NOT_SIGNIFICANT.colour, 0.7, INTERVAL_ORDER)
    panel.sheet.points(
        panel.at(*points.T),
        DOT,
        faces=colours[layers] if certain else NOT_SIGNIFICANT.face,
        edge=INK if certain else NOT_SIGNIFICANT.colour,
        order=LINE_ORDER + certain,
    )
    return bars


def _bars(panel: Panel, cloud: Cloud, layers: NDArray[np.intp]) -> Array:
    """(n, 2, 2): the ends of the intervals, cut at the axes."""
    x, y = cloud.points[layers].T
    ends = ("ci_low", "ci_high")
    across = [panel.x.cut(cloud.written.column(f"{cloud.metric}_{end}"))[layers] for end in ends]
    up = [panel.y.cut(cloud.cost.column(f"{COST}_{end}"))[layers] for end in ends]
    level = np.stack([panel.at(end, y) for end in across], axis=1)
    upright = np.stack([panel.at(x, end) for end in up], axis=1)
    bars = np.concatenate([level, upright])
    finite: Array = bars[np.isfinite(bars).all(axis=(1, 2))]
    return finite


def _name_layers(panel: Panel, cloud: Cloud, dots: Array, outside: NDArray[np.bool_], bars: Array) -> None:
    """Layers outside the axes first, then those that are significant, the most expensive first."""
    points, significant = cloud.points, cloud.significant
    order = sorted(range(len(dots)), key=lambda i: (not outside[i], not significant[i], -abs(points[i, 1])))
    words = [
        f"{layer} ({figure(x)}; {figure(y)})" if beyond else f"{layer}"
        for layer, ((x, y), beyond) in enumerate(zip(points, outside, strict=True))
    ]
    colours = [INK if certain else MUTED for certain in significant]
    names = [Label(*each) for each in zip(words, colours, outside, strict=True)]
    label_points(panel, dots, names, order, bars)
