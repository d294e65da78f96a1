"""The logit lens: the prediction after each layer, compared with that of the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.plots.drawing.layout import Layout, LegendKey, PanelCell, place_panels, usual_width
from app.plots.drawing.lines import Line, in_groups, lines_of, table
from app.plots.drawing.panel import Panel
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import Scale, layer_scale, scale_over
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import LOOKS
from layerscope.names import MEAN_AND_INTERVAL

UNITS = {"lens_agreement": "share of tokens", "lens_kl": "nat", "lens_entropy": "nat"}
WORDS = (
    "The residual after a layer is read with the last norm and the language model head. lens_agreement:"
    " the most probable next token is that of the model. lens_kl: KL(prediction of the model ‖ prediction"
    " after the layer). lens_entropy: entropy of the prediction after the layer"
)
BAND = "Mean over the n analysed texts. Band: 95 % confidence interval of the mean over n > 1 texts"
NO_VALUE = "no text was analysed"
HEIGHTS = (3.4, 2.1)  # inches of a panel: of a single row, of several
PAD = 0.04


@dataclass(frozen=True, kw_only=True)
class Lens(Plot):
    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        """A column for each metric, a row for each group of domains with the others behind it in grey."""
        lines = lines_of(rows, self.scope)
        groups = in_groups(lines)
        height, inches = HEIGHTS[len(groups) > 1], usual_width(len(UNITS))
        scales = [_scale(lines, metric, height) for metric in UNITS]
        x = layer_scale(len(lines[0].rows), inches)
        layout = Layout(
            title=self.title,
            caption=[caption, WORDS, f"{BAND}; {SCOPE_WORDS[self.scope]}"],
            cells=[
                PanelCell((f"{metric} ({unit})",), x, y)
                for _ in groups
                for (metric, unit), y in zip(UNITS.items(), scales, strict=True)
            ],
            columns=len(UNITS),
            height=height,
            legends={
                i: [LegendKey(*key) for key in zip(map(_name, group), LOOKS, strict=False)]
                for i, group in enumerate(groups)
            },
            shared="x",
        )
        panels = place_panels(sheet, layout)
        for number, panel in enumerate(panels):
            group, metric = groups[number // len(UNITS)], list(UNITS)[number % len(UNITS)]
            _draw_panel(panel, metric, group, [line for line in lines if line not in group])


LENS = Lens(title="Logit lens: the prediction after each layer", scope="all", analysis="logit_lens")


def _name(line: Line) -> str:
    return f"{line.domain} (n = {line.rows[0]['analysis_texts'] or 0})"


def _scale(lines: Sequence[Line], metric: str, inches: float) -> Scale:
    if metric == "lens_agreement":
        return scale_over([-PAD, 1 + PAD], inches, padded=False)
    parts = [table(lines, metric + suffix) for suffix in MEAN_AND_INTERVAL]
    return scale_over(np.concatenate([*parts, np.zeros_like(parts[0])]), inches)


def _draw_panel(panel: Panel, metric: str, group: Sequence[Line], others: Sequence[Line]) -> None:
    panel.behind([line.series(metric, LOOKS[0]) for line in others])
    for line, look in zip(group, LOOKS, strict=False):
        series = line.series(metric, look)
        panel.band(series, line.column(f"{metric}_ci_low"), line.column(f"{metric}_ci_high"))
        panel.line(series)
    if not np.isfinite(table(group, metric)).any():
        panel.say(NO_VALUE)
