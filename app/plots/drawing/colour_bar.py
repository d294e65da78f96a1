"""The bar that explains the colours of a plot."""

import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np

from app.plots.drawing.panel import Panel
from app.plots.drawing.scales import Array, Scale
from app.plots.drawing.style import FONT, MUTED, SHADES, TICK_FONT
from app.plots.drawing.words import line_height, width_of

STEPS = 64  # of the bar
WIDTH, TIP, BEFORE = 0.16, 0.16, 0.12  # BEFORE: from the panels to the bar
TICK_GAP, LABEL_GAP = 0.07, 0.12  # from the bar to its tick labels, and from these to the label


def shades(fractions: Array) -> Array:
    """(…, 4): colours from dark at 0 to light at 1."""
    found: Array = matplotlib.colormaps[SHADES](np.asarray(fractions, float))
    return found


def bar_inches(scale: Scale, label: str) -> float:
    """The space that a bar needs besides the panels."""
    return BEFORE + _label_left(scale) + line_height(FONT) * (label.count("\n") + 1)


def _label_left(scale: Scale) -> float:
    widest = max((width_of(tick, TICK_FONT) for tick in scale.labels), default=0)
    return WIDTH + TICK_GAP + widest + LABEL_GAP


def draw_bar(
    panels: Sequence[Panel], scale: Scale, label: str, beyond: Sequence[bool] = (False, False)
) -> None:
    """At the right of a row of panels. `beyond`: whether values are below and above it; a tip marks them."""
    sheet, left = panels[0].sheet, panels[-1].right + BEFORE
    bottom, top = panels[0].bottom + TIP * beyond[0], panels[0].top - TIP * beyond[1]
    edges = np.linspace(bottom, top, STEPS + 1)
    right = left + WIDTH
    steps = [
        [(left, low), (right, low), (right, high), (left, high)] for low, high in itertools.pairwise(edges)
    ]
    colours = shades(np.linspace(0, 1, STEPS))
    sheet.polygons(steps, colours, 1, edgecolors=colours, linewidths=0.3)
    tips = [(bottom, bottom - TIP, 0.0), (top, top + TIP, 1.0)]
    for shown, (start, end, fraction) in zip(beyond, tips, strict=True):
        if shown:
            tip = [(left, start), (right, start), (left + WIDTH / 2, end)]
            sheet.polygons([tip], shades(np.array(fraction)), 1)
    up = scale.places(scale.ticks, bottom, top - bottom)
    sheet.strokes([[(right, y), (right + 0.04, y)] for y in up], MUTED, 0.8, 2)
    sheet.figures(scale.labels, [(right + TICK_GAP, y) for y in up], TICK_FONT, MUTED, anchor=(0, 0.5))
    x = left + _label_left(scale)
    sheet.write(x, (bottom + top) / 2, label, FONT, ha="left", rotation=90, linespacing=1.1)
