"""Layers along x, domains along y, and the contribution of a layer as a colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from app.plots.drawing.canvas import SHADES, layer_ticks, panels
from app.plots.drawing.lines import lines_in_scope
from app.plots.drawing.plot import SCOPE_WORDS, Plot, PlotRow
from app.plots.drawing.scales import PLAIN, logarithmic_ticks

LIGHT = 0.55  # of the scale: above it, numbers are black
NUMBERED_LAYERS = 32  # with more layers, the numbers would not fit their cells
LAYER_TICKS = 40
SHADE_WORDS = "the colours cover the layers after 0"
LEAST_ROWS = 2  # of the height; the label of the colour bar needs them


@dataclass(frozen=True, kw_only=True)
class Heatmap(Plot):
    metric: str
    unit: str

    def draw(self, figure: Figure, rows: Sequence[PlotRow], caption: str) -> None:
        lines = lines_in_scope(self, rows)
        values = np.array([line.column(self.metric) for line in lines], float)  # (domains, layers)
        words = f"Mean over the n texts of a domain; {SCOPE_WORDS[self.scope]}; {SHADE_WORDS}"
        heading = self.title, [caption, words]
        (axes,) = panels(figure, heading, 1, 1, 1.2 + 0.45 * max(LEAST_ROWS, len(lines)))
        scale = _scale(values)
        shades = axes.imshow(values, aspect="auto", cmap=SHADES, norm=scale)
        axes.grid(visible=False)
        axes.set_yticks(range(len(lines)), [line.title for line in lines])
        axes.xaxis.set_major_locator(layer_ticks(LAYER_TICKS))
        axes.set_xlabel("layer")
        if values.shape[1] <= NUMBERED_LAYERS:
            _write_values(axes, values, scale)
        low, high = shades.get_clim()
        bar = figure.colorbar(shades, ax=axes, pad=0.01, fraction=0.03, extend=_beyond(values, low, high))
        if isinstance(scale, LogNorm):
            bar.ax.yaxis.set_major_locator(logarithmic_ticks(high / low))
        bar.ax.yaxis.set_major_formatter(PLAIN)
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.set_label(f"{self.metric} ({self.unit})")


HEATMAP = Heatmap(
    title="Contribution of each layer relative to the residual that enters it, by domain",
    metric="relative_norm",
    unit="no unit, log scale",
    scope="typical",
)


def _scale(values: NDArray[np.float64]) -> Normalize:
    """A logarithmic scale over the layers after 0; 0 to 1 if there is no positive value.

    Layer 0 receives only the embedding and may write a hundred times as much as the others, which would then
    all have the same colour.
    """
    positive = values[values > 0]
    later = values[:, 1:][values[:, 1:] > 0]
    if not positive.size:
        return Normalize(0, 1)
    scaled = later if later.size else positive
    return LogNorm(scaled.min(), scaled.max(), clip=True)


def _beyond(values: NDArray[np.float64], low: float, high: float) -> str:
    """Which ends of the colour scale values exceed, as Matplotlib's `extend`."""
    words = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return words[bool((values < low).any()), bool((values > high).any())]


def _write_values(axes: Axes, values: NDArray[np.float64], scale: Normalize) -> None:
    for (domain, layer), value in np.ndenumerate(values):
        if not math.isnan(value):
            colour = "white" if scale(value) < LIGHT else "black"
            axes.text(layer, domain, _figure(value), ha="center", va="center", fontsize=7.5, color=colour)


def _figure(value: float) -> str:
    """Two digits in at most four characters: a cell has no space for the zero of 0.078."""
    if value == 0 or value >= 10:
        return f"{value:.0f}"
    if value < 0.001:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:#.2g}".removeprefix("0")
