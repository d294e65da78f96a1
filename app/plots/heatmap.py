"""Layers along x, domains along y, and the contribution of a layer as a colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.plots.drawing.colour_bar import bar_inches, draw_bar, shades
from app.plots.drawing.layout import Layout, PanelCell, place_panels
from app.plots.drawing.lines import Line, lines_of, table
from app.plots.drawing.panel import Panel
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import Array, Scale, layer_scale, scale_over
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import CAPTION_FONT, WIDTH
from app.plots.drawing.words import line_height, width_of, wrapped_name

LIGHT = 0.55  # of the scale: above it, numbers are black
LARGEST_FONT, SMALLEST_FONT = 8.0, 5.5  # of the numbers, in points; if they do not fit, there are none
NAME_INCHES, NAME_LINES, NAME_GAP = 2.5, 3, 0.08
LEAST_HEIGHT = 1.6  # inches of all rows; the label of the colour bar needs them
SHADE_WORDS = "the colours cover the layers after 0"


@dataclass(frozen=True, kw_only=True)
class Heatmap(Plot):
    metric: str
    unit: str

    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        lines = lines_of(rows, self.scope)
        values = table(lines, self.metric)
        names = [_name(line) for line in lines]
        row = max(0.34, 0.08 + line_height(CAPTION_FONT) * max(map(len, names)))
        height = max(LEAST_HEIGHT, row * len(lines))
        scale = _scale(values, height)
        label, left = f"{self.metric}\n({self.unit})", max(map(_widest, names)) + NAME_GAP
        layout = Layout(
            title=self.title,
            caption=[caption, f"Mean over the n texts of a domain; {SCOPE_WORDS[self.scope]}; {SHADE_WORDS}"],
            cells=[PanelCell((), layer_scale(values.shape[1], WIDTH - left - 1), Scale(0, len(lines)))],
            columns=1,
            height=height,
            left=left,
            right=bar_inches(scale, label),
        )
        (panel,) = place_panels(sheet, layout)
        _draw_cells(panel, values, scale)
        _write_names(panel, names)
        beyond = [bool(found.any()) for found in (values < scale.low, values > scale.high)]
        draw_bar([panel], scale, label, beyond)


HEATMAP = Heatmap(
    title="Contribution of each layer relative to the residual that enters it, by domain",
    metric="relative_norm",
    unit="no unit, log scale",
    scope="typical",
)


def _name(line: Line) -> list[str]:
    if width_of(f"{line.domain} {line.note}", CAPTION_FONT) <= NAME_INCHES:
        return [f"{line.domain} {line.note}"]
    return [*wrapped_name(line.domain, CAPTION_FONT, NAME_INCHES, NAME_LINES), line.note]


def _widest(lines: Sequence[str]) -> float:
    return max(width_of(line, CAPTION_FONT) for line in lines)


def _scale(values: Array, inches: float) -> Scale:
    """A logarithmic scale over the layers after 0; EMPTY if there is no positive value.

    Layer 0 receives only the embedding and may write a hundred times as much as the others, which would then
    all have the same colour.
    """
    later = values[:, 1:]
    scaled = later if (later > 0).any() else values
    return scale_over(scaled, inches, logarithmic=bool((scaled > 0).any()), padded=False)


def _draw_cells(panel: Panel, values: Array, scale: Scale) -> None:
    """The first domain is the highest row."""
    rows, layers = values.shape
    fractions = np.clip(scale.places(np.where(values > 0, scale.cut(values), scale.low), 0, 1), 0, 1)
    found = np.argwhere(np.isfinite(values))
    corners = [
        panel.at(layer + np.array([-0.5, 0.5, 0.5, -0.5]), rows - row - np.array([1, 1, 0, 0]))
        for row, layer in found
    ]
    shown = fractions[tuple(found.T)]
    if len(found):
        panel.sheet.polygons(corners, shades(shown), 1, edgecolors="white", linewidths=0.4)
    words = [_figure(values[row, layer]) for row, layer in found]
    size = _font(words, panel.width / layers)
    for light, colour in ((True, "black"), (False, "white")):
        chosen = [i for i, fraction in enumerate(shown) if (fraction >= LIGHT) == light and size is not None]
        places = [corners[i].mean(axis=0) for i in chosen]
        panel.sheet.figures([words[i] for i in chosen], places, size or 0, colour)


def _font(words: Sequence[str], inches: float) -> float | None:
    """The font size with which the longest number fits into a cell."""
    widest = max((width_of(word, 1) for word in words), default=1)
    size = min(LARGEST_FONT, 0.9 * inches / widest)
    return size if size >= SMALLEST_FONT else None


def _write_names(panel: Panel, names: Sequence[Sequence[str]]) -> None:
    for row, lines in enumerate(names):
        y = panel.top - (row + 0.5) * panel.height / len(names)
        panel.sheet.write(panel.left - NAME_GAP, y, "\n".join(lines), CAPTION_FONT, ha="right")


def _figure(value: float) -> str:
    """Two digits."""
    if value == 0 or value >= 10:
        return f"{value:.0f}"
    if value < 0.001:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:#.2g}".removesuffix(".")
