"""A figure on which everything is placed in inches from its lower left corner, and its encoding.

The plots have no Axes of Matplotlib. To create, lay out and draw the Axes of 16 panels takes seconds; a sheet
takes tenths of a second. Tick labels and other figures are drawn as outlines of characters, all equal
characters at once.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike
from PIL import Image

from app.plots.drawing.style import DOTS_PER_INCH, FONT, INK, WIDTH
from app.plots.drawing.words import DIGIT_HEIGHT, LINE_SPACING, POINTS, advance, outline, width_of

if TYPE_CHECKING:
    from app.plots.drawing.panel import Panel

Format = Literal["png", "svg"]
GLYPHS_ORDER = 6  # figures are above everything else


class Sheet:
    def __init__(self) -> None:
        self.figure = Figure(facecolor="white", dpi=DOTS_PER_INCH)
        self.panels: list[Panel] = []
        self._glyphs: dict[tuple[str, float, str], list[tuple[float, float]]] = {}
        self._strokes: dict[tuple[str, float, float, str], list[Any]] = {}

    @property
    def height(self) -> float:
        return float(self.figure.get_figheight())

    @height.setter
    def height(self, inches: float) -> None:
        self.figure.set_size_inches(WIDTH, round(inches * DOTS_PER_INCH) / DOTS_PER_INCH)

    def add(self, artist: Artist) -> None:
        """An artist whose coordinates are inches."""
        artist.set_transform(self.figure.dpi_scale_trans)
        self.figure.add_artist(artist)

    def write(self, x: float, y: float, words: str, size: float = FONT, **look: Any) -> Text:
        style: Any = {"linespacing": LINE_SPACING, "va": "center"} | look
        return self.figure.text(x, y, words, fontsize=size, transform=self.figure.dpi_scale_trans, **style)

    def figures(
        self,
        words: Iterable[str],
        places: Iterable[Sequence[float]],
        size: float,
        colour: str = INK,
        anchor: tuple[float, float] = (0.5, 0.5),
    ) -> None:
        """Numbers. `anchor`: which part of a number is at its place, (0, 0) is its lower left corner."""
        for text, (x, y) in zip(words, places, strict=True):
            left = x - anchor[0] * width_of(text, size)
            bottom = y - anchor[1] * DIGIT_HEIGHT * size / POINTS
            for character in text:
                if character != " ":
                    self._glyphs.setdefault((character, size, colour), []).append((left, bottom))
                left += advance(character) * size / POINTS

    def strokes(
        self, corners: Iterable[ArrayLike], colour: str, width: float, order: float, dashes: str = "-"
    ) -> None:
        """Lines, each (n, 2): its corners. Lines of a higher order are above the others."""
        self._strokes.setdefault((colour, width, order, dashes), []).extend(corners)

    def polygons(self, corners: Sequence[ArrayLike], colours: Any, order: float, **look: Any) -> None:
        self.add(PolyCollection(corners, facecolors=colours, zorder=order, **({"linewidths": 0} | look)))

    def marks(self, places: ArrayLike, **look: Any) -> None:
        """Markers at places (n, 2), and lines between them if the look has a `linestyle`."""
        self.add(Line2D(*np.asarray(places, float).T, **({"linestyle": "none"} | look)))

    def points(self, places: ArrayLike, size: float, *, faces: Any, edge: str, order: float) -> None:
        """Circles; the size in points."""
        circles = PathCollection(
            [Path.unit_circle()],
            offsets=places,
            offset_transform=self.figure.dpi_scale_trans,
            facecolors=faces,
            edgecolors=edge,
            linewidths=0.6,
            zorder=order,
        )
        circles.set_transform(Affine2D().scale(size / 2 / POINTS) + self.figure.dpi_scale_trans)
        self.figure.add_artist(circles)

    def finish(self) -> None:
        """Adds what was collected."""
        for (colour, width, order, dashes), corners in self._strokes.items():
            look = {"colors": colour, "linewidths": width, "linestyles": dashes}
            self.add(LineCollection(corners, zorder=order, **look))
        for (character, size, colour), places in self._glyphs.items():
            self._add_glyphs(character, size, colour, places)
        self._strokes, self._glyphs = {}, {}

    def _add_glyphs(self, character: str, size: float, colour: str, places: ArrayLike) -> None:
        inches = self.figure.dpi_scale_trans
        glyphs: Collection = PathCollection(
            [outline(character)],
            offsets=np.asarray(places),
            offset_transform=inches,
            facecolors=colour,
            linewidths=0,
            zorder=GLYPHS_ORDER,
        )
        glyphs.set_transform(Affine2D().scale(size / POINTS) + inches)
        self.figure.add_artist(glyphs)


def encode(sheet: Sheet, file_format: Format) -> bytes:
    sheet.finish()
    out = BytesIO()
    if file_format == "svg":
        sheet.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        return out.getvalue()
    canvas: Any = FigureCanvasAgg(sheet.figure)
    canvas.draw()
    opaque = np.asarray(canvas.buffer_rgba())[..., :3]
    Image.fromarray(np.ascontiguousarray(opaque)).save(out, "png", dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return out.getvalue()
