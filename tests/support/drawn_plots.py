"""What can be read off a plot that was drawn."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import same_color
from matplotlib.lines import Line2D

from app.plots import PLOTS, draw
from app.plots.drawing.panel import Panel
from app.plots.drawing.plot import Plot
from app.plots.drawing.scales import Array, Scale
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import DOTS_PER_INCH, STYLE
from app.plots.drawing.words import DIGIT_HEIGHT, POINTS, advance, outline
from tests.support.jobs.plot_rows import Rows, of_places

CAPTION = "Model demo at revision sha256:0123, float32"
CHARACTERS = string.printable + "−…"
LOOSE = 1e-6  # inches


@dataclass(frozen=True)
class Written:
    """A number on a sheet, and its box in inches: left, bottom, right, top."""

    words: str
    box: tuple[float, float, float, float]
    colour: str

    @property
    def middle(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def drawn(plot: Plot, rows: Rows, caption: str = CAPTION) -> Sheet:
    with matplotlib.rc_context(STYLE):
        sheet = Sheet()
        plot.draw(sheet, of_places(plot, rows), caption)
        sheet.finish()
    return sheet


def words(name: str, rows: Rows, caption: str = CAPTION) -> list[str]:
    """Matplotlib writes each text of an SVG into a comment before its outlines."""
    svg = draw(PLOTS[name], of_places(PLOTS[name], rows), caption, "svg").decode()
    return re.findall(r"<!-- (.*?) -->", unescape(svg), re.DOTALL)


def lines(panel: Panel) -> list[Any]:
    """The series of a panel and its triangles, in the order in which they were drawn."""
    return [mark for mark in _artists(panel.sheet, Line2D) if _is_in(panel, mark.get_xydata())]


def series(panel: Panel) -> list[Any]:
    return [line for line in lines(panel) if not is_triangle(line)]


def triangles(panel: Panel) -> list[Any]:
    return [line for line in lines(panel) if is_triangle(line)]


def is_triangle(line: Any) -> bool:
    return line.get_linestyle() == "None" and str(line.get_marker()) in ("^", "v")


def points(panel: Panel, line: Any) -> list[tuple[float, float]]:
    """(x, y) in the units of the axes; nan where nothing is drawn."""
    across, up = np.asarray(line.get_xydata(), float).T
    x = value_at(panel.x, across, panel.left, panel.width)
    y = value_at(panel.y, up, panel.bottom, panel.height)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def value_at(scale: Scale, inches: Any, start: float, length: float) -> Array:
    """The inverse of the places of a scale."""
    inner = length - scale.outside_low - scale.outside_high
    fraction = (np.asarray(inches, float) - start - scale.outside_low) / inner
    low, high = np.log([scale.low, scale.high]) if scale.logarithmic else np.array([scale.low, scale.high])
    value = low + fraction * (high - low)
    found: Array = np.exp(value) if scale.logarithmic else value
    return found


def strokes(panel: Panel, colour: str) -> list[Array]:
    """Lines of a panel with this colour, each (n, 2) in the units of the axes."""
    found = []
    for artist in _artists(panel.sheet, LineCollection):
        if same_color(artist.get_colors()[0], colour):
            found += [segment for segment in artist.get_segments() if _is_in(panel, segment)]
    return [_in_units(panel, segment) for segment in found]


def polygons(panel: Panel, colour: str) -> list[Array]:
    """Corners (n, 2) of areas of a panel with this colour, in the units of the axes."""
    found = []
    for artist in _artists(panel.sheet, PolyCollection):
        if same_color(artist.get_facecolors()[0][:3], colour):
            found += [path.vertices[:-1] for path in artist.get_paths() if _is_in(panel, path.vertices)]
    return [_in_units(panel, corners) for corners in found]


def dots(panel: Panel) -> list[tuple[float, float, Any, Any]]:
    """x and y in the units of the axes, face and edge of the circles."""
    found = []
    for artist in _artists(panel.sheet, PathCollection):
        if artist.get_linewidths()[0] > 0:
            faces, edges, places = artist.get_facecolors(), artist.get_edgecolors(), artist.get_offsets()
            for number, place in enumerate(np.asarray(places)):
                if _is_in(panel, place[None]):
                    x, y = _in_units(panel, place[None])[0]
                    found.append((x, y, tuple(faces[number % len(faces)]), tuple(edges[number % len(edges)])))
    return found


def numbers(sheet: Sheet) -> list[Written]:
    """Put together from their characters."""
    characters = {id(outline(character)): character for character in CHARACTERS if not character.isspace()}
    glyphs = []
    for artist in _artists(sheet, PathCollection):
        character = characters.get(id(artist.get_paths()[0]))
        if character is not None:
            size = artist.get_transform().get_matrix()[0, 0] / DOTS_PER_INCH * POINTS
            colour = matplotlib.colors.to_hex(artist.get_facecolors()[0])
            glyphs += [(y, size, x, character, colour) for x, y in np.asarray(artist.get_offsets()).tolist()]
    return _joined(sorted(glyphs, key=lambda glyph: (round(glyph[0], 6), round(glyph[1], 3), glyph[2])))


def _joined(glyphs: Sequence[tuple[float, float, float, str, str]]) -> list[Written]:
    found: list[Written] = []
    for y, size, x, character, colour in glyphs:
        last = found[-1] if found else None
        width, space = (advance(each) * size / POINTS for each in (character, " "))
        top = y + DIGIT_HEIGHT * size / POINTS
        if last is not None and abs(last.box[1] - y) < LOOSE and last.colour == colour:
            gap = x - last.box[2]
            if abs(gap) < LOOSE or abs(gap - space) < LOOSE:
                joined = last.words + " " * bool(gap > LOOSE) + character
                found[-1] = Written(joined, (*last.box[:2], x + width, top), colour)
                continue
        found.append(Written(character, (x, y, x + width, top), colour))
    return found


def numbers_in(panel: Panel) -> list[str]:
    """Those within a panel, from the lowest to the highest."""
    return [each.words for each in numbers(panel.sheet) if _is_in(panel, np.array([each.middle]))]


def boxes(sheet: Sheet) -> list[tuple[str, Array]]:
    """Everything that is written, with left, bottom, right and top in inches."""
    found = [(each.words, np.array(each.box)) for each in numbers(sheet)]
    for text in sheet.figure.texts:
        if text.get_text():
            box: Any = text.get_window_extent().extents
            found.append((text.get_text(), np.asarray(box) / DOTS_PER_INCH))
    return found


def overlapping(places: Array) -> list[tuple[int, int]]:
    """The pairs of boxes (n, 4) that overlap: left, bottom, right and top."""
    before = np.all(places[:, None, :2] < places[None, :, 2:] - LOOSE, axis=-1)
    return [(a, b) for a, b in np.argwhere(before & before.T).tolist() if a < b]


def legend(sheet: Sheet) -> list[str]:
    """The words at the right of a mark outside the panels."""
    marks = [mark.get_xydata() for mark in _artists(sheet, Line2D) if np.size(mark.get_xdata()) == 1]
    outside = [mark for mark in marks if not any(_is_in(panel, mark) for panel in sheet.panels)]
    heights = {round(float(mark[0, 1]), 6) for mark in outside}
    return [text.get_text() for text in sheet.figure.texts if round(text.get_position()[1], 6) in heights]


def _artists(sheet: Sheet, kind: type[Artist]) -> list[Any]:
    return [artist for artist in sheet.figure.artists if isinstance(artist, kind)]


def _is_in(panel: Panel, places: Any) -> bool:
    """Whether all places are within the panel; nan counts as within, but not alone."""
    places = np.asarray(places, float)
    found = places[np.isfinite(places).all(axis=1)]
    low, high = np.array([panel.left, panel.bottom]), np.array([panel.right, panel.top])
    return bool(len(found) and ((found > low - LOOSE) & (found < high + LOOSE)).all())


def _in_units(panel: Panel, places: Array) -> Array:
    x = value_at(panel.x, places[:, 0], panel.left, panel.width)
    return np.stack([x, value_at(panel.y, places[:, 1], panel.bottom, panel.height)], axis=1)
