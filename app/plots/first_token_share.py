"""The shares of the first token in the numbers of each layer: two shares, a panel for each domain."""

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
from app.plots.drawing.lines import Line, lines_of, table
from app.plots.drawing.panel import TRIANGLE, Panel, Series
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import Array, Scale, layer_scale, scale_over
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import LOOKS
from app.plots.drawing.words import titled

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

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        lines = [line for line in lines_of(rows) if line.component in self.components]
        shares = np.concatenate([table(lines, name) for name in SHARES])
        columns = columns_for(len(lines))
        y, inches = _scale(shares, HEIGHTS[columns]), usual_width(columns)
        beyond = ((shares < y.low) | (shares > y.high)).any()
        layout = Layout(
            title=self.title,
            caption=[
                caption,
                f"{WORDS}; {SCOPE_WORDS[self.scope]}",
                *["A triangle at the edge marks a share outside the axis"] * bool(beyond),
            ],
            cells=[
                PanelCell(titled([line.domain], line.note, inches), layer_scale(len(line.rows), inches), y)
                for line in lines
            ],
            columns=columns,
            height=HEIGHTS[columns],
            y_label=f"share of {self.metric} (no unit)",
            legends={0: [LegendKey(*each) for each in zip(SHARES.values(), LOOKS, strict=False)]},
        )
        for panel, line in zip(place_panels(sheet, layout), lines, strict=True):
            _draw_shares(panel, line)


FIRST_TOKEN = FirstToken(
    title="Share of the first token in the mean absolute contribution of each layer",
    metric="delta_abs_mean",
    scope="all",
    table="first_token",
)


def _scale(shares: Array, inches: float) -> Scale:
    """From 0 to 1, extended to the most extreme shares but not beyond LOWEST and HIGHEST."""
    low, high = min(0.0, np.nanmin(shares, initial=0)), max(1.0, np.nanmax(shares, initial=1))
    ends = [max(low, LOWEST) - PAD, min(high, HIGHEST) + PAD]
    return scale_over(ends, inches, padded=False)


def _draw_shares(panel: Panel, line: Line) -> None:
    for whole in (0, 1):
        panel.level(whole)
    for name, look in zip(SHARES, LOOKS, strict=False):
        series = line.series(name, look)
        panel.line(series)
        _mark_beyond(panel, series)


def _mark_beyond(panel: Panel, series: Series) -> None:
    layers, shares = np.array(series.x), np.array(series.y)
    for found, marker, edge in (
        (shares < panel.y.low, "v", panel.y.low),
        (shares > panel.y.high, "^", panel.y.high),
    ):
        if found.any():
            places = panel.at(layers[found], np.full(found.sum(), edge))
            look = {"marker": marker, "markersize": TRIANGLE, "color": series.look.colour, "zorder": 4}
            panel.sheet.marks(places, **look)
