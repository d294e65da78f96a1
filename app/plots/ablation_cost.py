"""What skipping each layer costs: a point with its interval for each layer, a panel for each domain."""

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
from app.plots.drawing.outside import layer_axis
from app.plots.drawing.panel import Panel, Series
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import layer_scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.significance import INTERVAL_KEYS, INTERVAL_WORDS, excludes_zero, split
from app.plots.drawing.style import INK, Look
from app.plots.drawing.words import titled

COST = "ablation_nll"
COST_WORDS = f"{COST}: increase of the loss when the layer is skipped, mean over the n ablated texts"
NO_VALUE = "no text was ablated"


@dataclass(frozen=True, kw_only=True)
class Ablation(Plot):
    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        lines = lines_of(rows, self.scope)
        columns = columns_for(len(lines))
        inches, height = usual_width(columns), HEIGHTS[columns]
        ends = [table(lines, f"{COST}_{end}") for end in ("ci_low", "ci_high")]
        axis = layer_axis(table(lines, COST), height, intervals=ends, with_zero=True)
        layout = Layout(
            title=self.title,
            caption=[caption, f"{COST_WORDS}; {SCOPE_WORDS[self.scope]}", INTERVAL_WORDS, *axis.words],
            cells=[
                PanelCell(
                    titled([line.domain], _note(line), inches),
                    layer_scale(len(line.rows), inches),
                    axis.scale,
                )
                for line in lines
            ],
            columns=columns,
            height=height,
            y_label=f"{COST} (nat)",
            legends={0: [LegendKey(name, look) for look, name in INTERVAL_KEYS.items()]},
        )
        for panel, line in zip(place_panels(sheet, layout), lines, strict=True):
            _draw_costs(panel, line)


ABLATION = Ablation(title="What skipping each layer costs", scope="all", analysis="ablation")


def _note(line: Line) -> str:
    return f"(n = {line.rows[0]['analysis_texts'] or 0})"


def _draw_costs(panel: Panel, line: Line) -> None:
    panel.level(0)
    if not np.isfinite(line.column(COST)).any():
        panel.say(NO_VALUE)
        return
    low, high = (np.array(line.column(f"{COST}_{end}")) for end in ("ci_low", "ci_high"))
    for look, layers in split(excludes_zero(low, high)):
        series = Series(layers.tolist(), np.array(line.column(COST))[layers].tolist(), look)
        panel.intervals(series, low[layers], high[layers])
        panel.line(series)
    panel.outside([line.series(COST, Look(INK, "o"))])
