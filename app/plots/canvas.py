"""Paper and pen of all pictures: colours, sizes, panels, title, caption, and the bytes in the end."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Format = Literal["png", "svg"]

WIDTH_INCHES = 12
DOTS_PER_INCH = 150
TITLE_INCHES, LEGEND_INCHES, CAPTION_INCHES = 0.5, 0.35, 0.6

INK, QUIET, FAINT, GRID = "#1f2933", "#52606d", "#cbd2d9", "#e4e7eb"
# From the palette of Okabe and Ito, made to be told apart by colour-blind eyes.
LOOKS = (("#0072b2", "o", "-"), ("#d55e00", "s", "--"), ("#009e73", "^", "-."), ("#a3508a", "D", ":"))

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "layerscope",
        "font.size": 11,
        "text.color": INK,
        "text.parse_math": False,
        "axes.edgecolor": QUIET,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "legend.frameon": False,
        "xtick.color": QUIET,
        "ytick.color": QUIET,
    }
)


def panels(
    figure: Figure, count: int, columns: int, height_inches: float, *, legend: bool = False, **shared: Any
) -> list[Axes]:
    """`count` axes in rows of `columns`, each row of the given height, between heading and caption."""
    rows = -(-count // columns)
    body = rows * height_inches
    height = TITLE_INCHES + legend * LEGEND_INCHES + body + CAPTION_INCHES
    figure.set_size_inches(WIDTH_INCHES, height)
    figure.set_layout_engine(
        "constrained", rect=(0, CAPTION_INCHES / height, 1, body / height), w_pad=0.1, h_pad=0.08
    )
    cells = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for unused in cells[count:]:
        unused.remove()
    return list(cells[:count])


def frame(figure: Figure, title: str, caption: Sequence[str]) -> None:
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.12 / height, title, va="top", fontsize=14, fontweight="bold")
    figure.text(
        0.01, 0.1 / height, "\n".join(caption), va="bottom", fontsize=9.5, color=QUIET, linespacing=1.4
    )


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


def encode(figure: Figure, file_format: Format) -> bytes:
    out = BytesIO()
    undated = {"Software": None} if file_format == "png" else {"Date": None, "Creator": None}
    figure.savefig(out, format=file_format, dpi=DOTS_PER_INCH, metadata=undated)
    return out.getvalue()
