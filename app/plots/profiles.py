"""Plots with the layers along x and a metric along y."""

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
from app.plots.drawing.lines import GROUP, Line, by_domain, lines_of, table
from app.plots.drawing.outside import LayerAxis, layer_axis
from app.plots.drawing.panel import Panel, Series
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import Array, layer_scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import LOOKS
from app.plots.drawing.words import titled

NO_TOKEN = "no value: every text\nhas only one token"


@dataclass(frozen=True, kw_only=True)
class Profile(Plot):
    """`spread`: the words of the title about the band; texts of which there is only one have none."""

    metric: str
    unit: str
    deviation: str | None = None  # the column of the band's half width; none: the metric's interval
    spread: str = ""
    log: bool = False

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        """One panel for few domains, else one for each domain with the others behind it in grey."""
        lines = lines_of(rows, self.scope)
        domains = by_domain(lines)
        together = len(self.components) == 1 and len(domains) <= GROUP
        groups = [lines] if together else domains
        names = [f"{line.domain} {line.note}" for line in lines] if together else self.components
        columns = columns_for(len(groups))
        axis = self._axis(lines, HEIGHTS[columns], len(names))
        layout = Layout(
            title=self._title(lines),
            caption=[caption, "; ".join([*self._band_words(lines), SCOPE_WORDS[self.scope]]), *axis.words],
            cells=[self._cell(group, columns, together, axis) for group in groups],
            columns=columns,
            height=HEIGHTS[columns],
            y_label=f"{self.metric} ({self.unit})",
            legends={0: [LegendKey(*each) for each in zip(names, LOOKS, strict=False)]}
            if len(names) > 1 or together
            else {},
        )
        for panel, group in zip(place_panels(sheet, layout), groups, strict=True):
            others = [line for line in lines if line.domain != group[0].domain]
            self._draw_panel(panel, group, [] if len(names) > 1 or together else others)

    def _axis(self, lines: Sequence[Line], inches: float, rows: int) -> LayerAxis:
        ends = [np.array([self._band(line)[end] for line in lines]) for end in (0, 1)]
        values = table(lines, self.metric)
        bands, intervals = ([], ends) if self.deviation is None else (ends, [])
        return layer_axis(values, inches, bands=bands, intervals=intervals, rows=rows, logarithmic=self.log)

    def _cell(self, group: Sequence[Line], columns: int, together: bool, axis: LayerAxis) -> PanelCell:
        inches = usual_width(columns)
        title = () if together else titled([group[0].domain], group[0].note, inches)
        return PanelCell(title, layer_scale(len(group[0].rows), inches), axis.scale)

    def _title(self, lines: Sequence[Line]) -> str:
        several = any(line.texts > 1 for line in lines)
        return self.title if several else self.title.removesuffix(self.spread)

    def _band_words(self, lines: Sequence[Line]) -> list[str]:
        if all(line.texts < 2 for line in lines):
            return []
        if self.deviation is None:
            return ["Band: 95 % confidence interval of the mean over n > 1 texts"]
        of = self.deviation.removesuffix("_std")
        return [f"Band: standard deviation of {of} over n > 1 texts (ddof = 1)"]

    def _draw_panel(self, panel: Panel, group: Sequence[Line], others: Sequence[Line]) -> None:
        panel.behind([line.series(self.metric, LOOKS[0]) for line in others])
        shown: list[Series] = []
        for line, look in zip(group, LOOKS, strict=False):
            shown.append(line.series(self.metric, look))
            panel.band(shown[-1], *self._band(line))
            panel.line(shown[-1])
        panel.outside(shown)
        if not any(row["texts"] for line in group for row in line.rows):
            panel.say(NO_TOKEN)

    def _band(self, line: Line) -> tuple[Array, Array]:
        if self.deviation is None:
            low, high = (np.array(line.column(f"{self.metric}_ci_{end}")) for end in ("low", "high"))
            return low, high
        mean, deviation = np.array(line.column(self.metric)), np.array(line.column(self.deviation))
        return mean - deviation, mean + deviation


def _with_deviation(metric: str, deviation: str, subject: str, spread: str) -> Profile:
    return Profile(
        title=f"{subject} of each layer{spread}",
        metric=metric,
        unit="activation",
        scope="all",
        deviation=deviation,
        spread=spread,
    )


OWN = " ± its standard deviation over texts"
SIGNED = " ± standard deviation of the signed mean"

PROFILES = {
    "mean_std": _with_deviation("delta_mean", "delta_mean_std", "Mean contribution", OWN),
    "abs_mean_abs_std": _with_deviation(
        "delta_abs_mean", "delta_abs_mean_std", "Mean absolute contribution", OWN
    ),
    "abs_mean_std": _with_deviation("delta_abs_mean", "delta_mean_std", "Mean absolute contribution", SIGNED),
    "relative": Profile(
        title="Contribution of each layer relative to the residual that enters it",
        metric="relative_norm",
        unit="no unit, log scale",
        scope="typical",
        log=True,
    ),
    "components": Profile(
        title="What attention and MLP of each layer write",
        metric="delta_rms",
        unit="activation, log scale",
        scope="typical",
        components=("attention", "mlp"),
        log=True,
    ),
}
