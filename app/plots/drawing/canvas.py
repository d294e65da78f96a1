"""Shared by all plots: colours, sizes, panels, title, caption, and the encoding."""

import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

Format = Literal["png", "svg"]

WIDTH_INCHES = 12
DOTS_PER_INCH = 150
TITLE_INCHES, LEGEND_INCHES = 0.5, 0.35
MARGIN_INCHES, LINE_INCHES = 0.23, 0.185  # of the caption
LINE_CHARACTERS = 165
LAYER_TICKS = 30
POSITION_DIGITS = 6  # of positions, as fractions of the figure

INK, MUTED, FAINT, GRID = "#1f2933", "#52606d", "#cbd2d9", "#e4e7eb"
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
LOOKS = (("#0072b2", "o", "-"), ("#d55e00", "s", "--"), ("#009e73", "^", "-."), ("#a3508a", "D", ":"))
SHADES = "cividis"  # from dark to light also in print and for colour-blind readers

# Settings of Matplotlib while a plot is drawn.
STYLE: Any = {  # a plain dictionary; Matplotlib types its keys one by one
    "figure.dpi": DOTS_PER_INCH,
    "svg.hashsalt": "layerscope",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.frameon": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


def panels(
    figure: Figure,
    heading: tuple[str, Sequence[str]],
    count: int,
    columns: int,
    height_inches: float,
    *,
    legend: bool = False,
    **shared: Any,
) -> list[Axes]:
    """`count` axes in rows of `columns`, each row of the given height, between title and caption."""
    title, caption = heading
    lines = [line for sentence in caption for line in textwrap.wrap(sentence, LINE_CHARACTERS)]
    below = MARGIN_INCHES + LINE_INCHES * len(lines)
    rows = -(-count // columns)
    body = rows * height_inches
    height = TITLE_INCHES + legend * LEGEND_INCHES + body + below
    figure.set_size_inches(WIDTH_INCHES, height)
    figure.set_layout_engine("constrained", rect=(0, below / height, 1, body / height), w_pad=0.1, h_pad=0.08)
    _frame(figure, title, lines)
    cells = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for unused in cells[count:]:
        unused.remove()
    return list(cells[:count])


def _frame(figure: Figure, title: str, caption: Sequence[str]) -> None:
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.12 / height, title, va="top", fontsize=14, fontweight="bold")
    figure.text(
        0.01, 0.1 / height, "\n".join(caption), va="bottom", fontsize=9.5, color=MUTED, linespacing=1.4
    )


def columns_and_height(count: int) -> tuple[int, float]:
    """Panels side by side for a number of panels, and the height of a row of panels."""
    columns = 1 if count == 1 else 2 if count <= 4 else 3 if count <= 9 else 4
    return columns, {1: 5.2, 2: 3.2, 3: 2.6, 4: 2.2}[columns]


def layer_panels(
    figure: Figure,
    heading: tuple[str, Sequence[str]],
    count: int,
    layers: int,
    *,
    legend: bool = False,
) -> list[Axes]:
    """`count` axes with layers along x, labelled below the lowest axes, and a common y axis."""
    columns, height = columns_and_height(count)
    grid = panels(figure, heading, count, columns, height, legend=legend, sharey=True)
    for axes in grid:
        axes.set_xlim(-0.5, layers - 0.5)
        axes.xaxis.set_major_locator(layer_ticks(LAYER_TICKS // columns))
    for axes in grid[-columns:]:
        axes.set_xlabel("layer")
    return grid


def layer_ticks(most: int) -> MaxNLocator:
    return MaxNLocator(most, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def marker_size(layers: int) -> float:
    return 4 if layers <= 40 else 3


def draw_line(
    axes: Axes, layers: Sequence[float], values: Sequence[float], look: tuple[str, str, str]
) -> None:
    colour, marker, dashes = look
    axes.plot(
        layers,
        values,
        color=colour,
        marker=marker,
        linestyle=dashes,
        markersize=marker_size(len(layers)),
        linewidth=1.4,
    )


def write_instead(axes: Axes, words: str) -> None:
    """For axes without data."""
    axes.text(0.5, 0.55, words, transform=axes.transAxes, ha="center", color=MUTED, backgroundcolor="white")


def add_legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    visible = [f" {name}" for name in names]  # Matplotlib leaves out names that begin with "_"
    below_title = (0.005, 1 - 0.4 / figure.get_figheight())
    figure.legend(
        handles,
        visible,
        loc="upper left",
        bbox_to_anchor=below_title,
        ncols=len(names),
        handlelength=2.8,
        columnspacing=1.5,
        fontsize=10,
    )


def fix_layout(figure: Figure) -> None:
    """Fixes the layout.

    The last digits of the solver's solution depend on memory addresses. Rounded, the same rows give the
    same bytes on any machine.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(np.round(axes.get_position(original=True).get_points(), POSITION_DIGITS)))
    for text in figure.texts:
        x, y = np.round(text.get_position(), POSITION_DIGITS)
        text.set_position((x, y))


def encode(figure: Figure, file_format: Format) -> bytes:
    fix_layout(figure)
    out = BytesIO()
    undated = {"Software": None} if file_format == "png" else {"Date": None, "Creator": None}
    figure.savefig(out, format=file_format, metadata=undated)
    return out.getvalue()
