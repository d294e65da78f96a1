"""The layers of each domain, ranked by how much they differ between texts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.plots.drawing.canvas import LOOKS, panels, write_instead
from app.plots.drawing.lines import Line, lines_in_scope
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow

LAYERS_OF_HALF_WIDTH = 32  # bars of more layers need the whole width for their labels
NO_VARIANCE = "no sample variance with fewer than two texts"


@dataclass(frozen=True, kw_only=True)
class Ranking(Plot):
    column: str

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        lines = lines_in_scope(self, rows)
        columns = 2 if len(lines) > 1 and len(lines[0].rows) <= LAYERS_OF_HALF_WIDTH else 1
        bars = "Bars: sample variance over n texts (ddof = 1); each domain has its own scale"
        heading = self.title, [caption, f"{bars}; {SCOPE_WORDS[self.scope]}"]
        grid = panels(figure, heading, len(lines), columns, 5.2 if len(lines) <= columns else 2.6)
        for axes, line in zip(grid, lines, strict=True):
            _draw_bars(axes, line, self.column)
            axes.set_title(line.title)
        for axes in grid[-columns:]:
            axes.set_xlabel("layer, in order of decreasing sample variance")
        figure.supylabel("sample variance of delta_abs_mean (activation²)", fontsize=11)


RANKING = Ranking(
    title="Layers ranked by how much their mean absolute contribution varies between texts",
    scope="all",
    column="delta_abs_mean_var",
)


def _draw_bars(axes: Axes, line: Line, column: str) -> None:
    found = [(v, row["layer"]) for v, row in zip(line.column(column), line.rows, strict=True)]
    ranking = sorted(((v, layer) for v, layer in found if not math.isnan(v)), key=lambda bar: -bar[0])
    axes.grid(visible=False, axis="x")
    if not ranking:
        write_instead(axes, NO_VARIANCE)
        axes.set(xticks=[], yticks=[])
        return
    places = range(len(ranking))
    axes.bar(places, [variance for variance, _ in ranking], color=LOOKS[0][0], width=0.75)
    axes.set_xticks(
        places,
        [str(layer) for _, layer in ranking],
        fontsize=8,
        rotation=0 if len(ranking) <= LAYERS_OF_HALF_WIDTH else 90,
    )
    axes.set_xlim(-0.7, len(ranking) - 0.3)
