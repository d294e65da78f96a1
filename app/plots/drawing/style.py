"""Colours, sizes and settings that all plots share. Lengths on a sheet are inches."""

from dataclasses import dataclass
from typing import Any

WIDTH = 12.0
DOTS_PER_INCH = 150
INK, MUTED, FAINT, GRID, OUTSIDE = "#1f2933", "#52606d", "#cbd2d9", "#e4e7eb", "#f1f3f5"
SHADES = "cividis"  # from dark to light also in print and for colour-blind readers

# Font sizes in points.
TITLE_FONT, FONT, CAPTION_FONT, TICK_FONT, VALUE_FONT = 14.0, 10.5, 9.5, 9.0, 8.0


@dataclass(frozen=True)
class Look:
    """How a series of layers is drawn; without dashes, it has no line between its points."""

    colour: str
    marker: str
    dashes: str = ""
    face: str | None = None  # colour of the inside of a marker; None: `colour`


# The palette of Okabe and Ito, which colour-blind readers can distinguish.
LOOKS = (
    Look("#0072b2", "o", "-"),
    Look("#d55e00", "s", "--"),
    Look("#009e73", "^", "-."),
    Look("#a3508a", "D", ":"),
)
SIGNIFICANT = Look(LOOKS[0].colour, "o")
NOT_SIGNIFICANT = Look("#8b97a3", "o", face="white")

# Settings of Matplotlib while a plot is drawn.
STYLE: Any = {  # a plain dictionary; Matplotlib types its keys one by one
    "figure.dpi": DOTS_PER_INCH,
    "svg.hashsalt": "layerscope",
    "text.color": INK,
    "text.parse_math": False,
}


def marker_size(layers: int) -> float:
    """In points."""
    return 4 if layers <= 40 else 3
