"""The layers of each domain, ranked by how much they differ between texts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.plots.drawing.layout import Layout, PanelCell, place_panels, usual_width
from app.plots.drawing.lines import Line, lines_of
from app.plots.drawing.outside import layer_axis
from app.plots.drawing.panel import Panel, Series
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import EMPTY, Scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import LOOKS
from app.plots.drawing.words import titled

LAYERS_OF_HALF_WIDTH = 32  # bars of more layers need the whole width for their labels
HEIGHT, FULL_HEIGHT = 1.5, 4.4  # of a panel; FULL_HEIGHT: the only row
HALF_BAR = 0.375
NO_VARIANCE = "no sample variance with fewer than two texts"


@dataclass(frozen=True)
class RankedLayers:
    """Variances in decreasing order, and their layers."""

    line: Line
    variances: Sequence[float]
    layers: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Ranking(Plot):
    column: str

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        ranked = [_ranked(line, self.column) for line in lines_of(rows, self.scope)]
        layers = len(ranked[0].line.rows)
        columns = 2 if len(ranked) > 1 and layers <= LAYERS_OF_HALF_WIDTH else 1
        height = FULL_HEIGHT if len(ranked) <= columns else HEIGHT
        cells = [_cell(each, usual_width(columns), height) for each in ranked]
        cut = any(cell.y.outside_high for cell in cells)
        words = "Bars: sample variance over n texts (ddof = 1); each domain has its own scale"
        layout = Layout(
            title=self.title,
            caption=[
                caption,
                f"{words}; {SCOPE_WORDS[self.scope]}",
                *["Triangles: the variance is outside the axis, and its number is written"] * cut,
            ],
            cells=cells,
            columns=columns,
            height=height,
            x_label="layer, in order of decreasing sample variance",
            y_label="sample variance of delta_abs_mean (activation²)",
            shared="neither",
        )
        for panel, each in zip(place_panels(sheet, layout), ranked, strict=True):
            _draw_bars(panel, each)


RANKING = Ranking(
    title="Layers ranked by how much their mean absolute contribution varies between texts",
    scope="all",
    column="delta_abs_mean_var",
)


def _ranked(line: Line, column: str) -> RankedLayers:
    found = zip(line.column(column), map(int, line.column("layer")), strict=True)
    ranking = sorted((each for each in found if not math.isnan(each[0])), key=lambda each: -each[0])
    return RankedLayers(line, [variance for variance, _ in ranking], [layer for _, layer in ranking])


def _cell(ranked: RankedLayers, width: float, height: float) -> PanelCell:
    title = titled([ranked.line.domain], ranked.line.note, width)
    if not ranked.layers:
        return PanelCell(title, EMPTY, EMPTY)
    axis = layer_axis(np.array([ranked.variances]), height, with_zero=True)
    ranks = tuple(range(len(ranked.layers)))
    x = Scale(-0.7, len(ranks) - 0.3, ranks, tuple(map(str, ranked.layers)))
    return PanelCell(title, x, replace(axis.scale, low=0.0) if any(ranked.variances) else EMPTY, x_grid=False)


def _draw_bars(panel: Panel, ranked: RankedLayers) -> None:
    if not ranked.layers:
        panel.say(NO_VARIANCE)
        return
    ranks = np.arange(len(ranked.layers))
    bars = [
        panel.at([rank - HALF_BAR, rank - HALF_BAR, rank + HALF_BAR, rank + HALF_BAR], [0, top, top, 0])
        for rank, top in zip(ranks, panel.y.cut(ranked.variances), strict=True)
    ]
    panel.sheet.polygons(bars, LOOKS[0].colour, 2)
    panel.outside([Series(ranks.tolist(), ranked.variances, LOOKS[0])])
