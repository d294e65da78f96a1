"""The massive tokens of each domain: how many there are, and their share of the norms before each layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.plots.drawing.layout import (
    HEIGHTS,
    Layout,
    LegendKey,
    PanelCell,
    columns_for,
    place_panels,
    usual_width,
)
from app.plots.drawing.lines import GROUP, Line, lines_of
from app.plots.drawing.panel import Panel
from app.plots.drawing.plot import Plot, PlotRow
from app.plots.drawing.scales import layer_scale, scale_over
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import LOOKS
from app.plots.drawing.words import titled

WORDS = (
    "norm_share: the share of the massive tokens in the sum of the squared norms of the residual that enters"
    " the layer, over all tokens of the domain"
)
COUNTS = (
    "A token is massive if its residual norm after any layer is more than 3 times the median of its text;"
    " the count is the same in every layer. In brackets: massive tokens of all tokens, and texts whose first"
    " token is massive of all n texts"
)
PAD = 0.04


@dataclass(frozen=True, kw_only=True)
class Massive(Plot):
    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        """One panel for few domains, else one for each domain with the others behind it in grey."""
        lines = lines_of(rows)
        together = len(lines) <= GROUP
        groups = [lines] if together else [[line] for line in lines]
        columns = columns_for(len(groups))
        inches, height = usual_width(columns), HEIGHTS[columns]
        y = scale_over([-PAD, 1 + PAD], height, padded=False)
        titles = [
            () if together else titled([group[0].domain], _counts(group[0]), inches) for group in groups
        ]
        named = [f"{line.domain} {_counts(line)}" for line in lines] if together else []
        layout = Layout(
            title=self.title,
            caption=[caption, WORDS, COUNTS],
            cells=[PanelCell(title, layer_scale(len(lines[0].rows), inches), y) for title in titles],
            columns=columns,
            height=height,
            y_label="norm_share (no unit)",
            legends={0: [LegendKey(*each) for each in zip(named, LOOKS, strict=False)]},
        )
        for panel, group in zip(place_panels(sheet, layout), groups, strict=True):
            behind = [] if together else [line for line in lines if line.domain != group[0].domain]
            _draw_panel(panel, group, behind)


MASSIVE = Massive(
    title="Massive tokens: their share of the squared norms that enter each layer",
    scope="all",
    table="massive_tokens",
    components=(),
)


def _counts(line: Line) -> str:
    row = line.rows[0]
    return (
        f"({row['massive']:,} of {row['tokens']:,} tokens; first token: {row['massive_first']:,} of"
        f" n = {row['texts']:,})"
    )


def _draw_panel(panel: Panel, group: Sequence[Line], behind: Sequence[Line]) -> None:
    panel.behind([line.series("norm_share", LOOKS[0]) for line in behind])
    for line, look in zip(group, LOOKS, strict=False):
        panel.line(line.series("norm_share", look))
