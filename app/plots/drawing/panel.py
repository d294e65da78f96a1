"""One panel of a sheet: lines, bands, points and words at places that its two scales give."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.plots.drawing.scales import Array, Scale, figure
from app.plots.drawing.sheet import Sheet
from app.plots.drawing.style import FAINT, FONT, MUTED, OUTSIDE, VALUE_FONT, Look, marker_size
from app.plots.drawing.words import line_height, width_of

LINE_WIDTH, INTERVAL_WIDTH = 1.4, 1.1
BAND_ALPHA = 0.15
BAND_ORDER, BEHIND_ORDER, INTERVAL_ORDER, LINE_ORDER = 1.0, 1.5, 2.0, 3.0
OUTSIDE_ROW = line_height(VALUE_FONT) + 0.03  # the inches of a row of values outside an axis
TRIANGLE = 5.5  # points
GAP = 0.07  # between a triangle and its value


@dataclass(frozen=True)
class Series:
    """Points of one look, such as the layers of a domain."""

    x: Sequence[float]
    y: Sequence[float]
    look: Look


@dataclass(frozen=True)
class Panel:
    """Lengths are inches on the sheet. `title` has one or more lines."""

    sheet: Sheet
    left: float
    bottom: float
    width: float
    height: float
    x: Scale
    y: Scale
    title: tuple[str, ...] = ()

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def top(self) -> float:
        return self.bottom + self.height

    def at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """(n, 2): places on the sheet; nan where there is none."""
        across = self.x.places(x, self.left, self.width)
        return np.stack([across, self.y.places(y, self.bottom, self.height)], axis=-1)

    def line(self, series: Series, *, order: float = LINE_ORDER) -> None:
        """A point for each layer, and a line between neighbours if the look has dashes."""
        look, places = series.look, self.at(self.x.covered(series.x), self.y.covered(series.y))
        self.sheet.marks(
            places,
            color=look.colour,
            linestyle=look.dashes or "none",
            linewidth=LINE_WIDTH,
            marker=look.marker,
            markersize=marker_size(round(self.x.high - self.x.low)),
            markerfacecolor=look.face or look.colour,
            markeredgewidth=0.8,
            zorder=order,
        )

    def behind(self, lines: Sequence[Series]) -> None:
        """Lines of other panels, for comparison."""
        for line in lines:
            places = self.at(line.x, self.y.covered(line.y))
            runs = [places[run] for run in _runs(np.isfinite(places).all(axis=1))]
            self.sheet.strokes(runs, FAINT, 0.8, BEHIND_ORDER)

    def band(self, series: Series, lows: ArrayLike, highs: ArrayLike) -> None:
        """From the lows to the highs, cut at the axis; where the series has no point, there is no band."""
        inside = np.isfinite(self.y.covered(series.y))
        low, high = (np.where(inside, self.y.cut(ends), np.nan) for ends in (lows, highs))
        lower, upper = self.at(series.x, low), self.at(series.x, high)
        found = np.isfinite(lower).all(axis=1) & np.isfinite(upper).all(axis=1)
        corners = [np.concatenate([lower[run], upper[run][::-1]]) for run in _runs(found)]
        if corners:
            self.sheet.polygons(corners, series.look.colour, BAND_ORDER, alpha=BAND_ALPHA)

    def intervals(self, series: Series, lows: ArrayLike, highs: ArrayLike) -> None:
        """A vertical bar for each point, cut at the axis."""
        shown = np.isfinite(self.y.covered(series.y))
        ends = self.at(series.x, self.y.cut(lows)), self.at(series.x, self.y.cut(highs))
        bars = np.stack(ends, axis=1)[shown]
        bars = bars[np.isfinite(bars).all(axis=(1, 2))]
        self.sheet.strokes(list(bars), series.look.colour, INTERVAL_WIDTH, INTERVAL_ORDER)

    def level(self, value: float, colour: str = MUTED) -> None:
        """A horizontal line, if the axis covers the value."""
        ((_, y),) = self.at([self.x.low], [self.y.covered(value)])
        if np.isfinite(y):
            self.sheet.strokes([[(self.left, y), (self.right, y)]], colour, 0.8, BAND_ORDER)

    def say(self, words: str) -> None:
        """For a panel without data."""
        middle = self.left + self.width / 2, self.bottom + 0.55 * self.height
        self.sheet.write(*middle, words, FONT - 0.5, ha="center", color=MUTED, backgroundcolor="white")

    def outside(self, lines: Sequence[Series]) -> None:
        """A triangle for each point above or below the axis, with its value; a row for each line."""
        self.shade_outside()
        for above in (True, False):
            for row, line in enumerate(lines):
                inwards = -1 if above else 1
                self._row_outside(line, above, self._edge(above) + inwards * (row + 0.5) * OUTSIDE_ROW)

    def shade_outside(self) -> None:
        """The strips for values that the axes do not cover."""
        left, right, bottom, top = self.left, self.right, self.bottom, self.top
        for x0, x1, y0, y1 in (
            (left, right, top - self.y.outside_high, top),
            (left, right, bottom, bottom + self.y.outside_low),
            (right - self.x.outside_high, right, bottom, top),
            (left, left + self.x.outside_low, bottom, top),
        ):
            if x0 < x1 and y0 < y1:
                self.sheet.polygons([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]], OUTSIDE, 0.1)

    def _edge(self, above: bool) -> float:
        return self.top if above else self.bottom

    def _row_outside(self, line: Series, above: bool, y: float) -> None:
        x, values = np.asarray(line.x, float), np.asarray(line.y, float)
        found = values > self.y.high if above else values < self.y.low
        if not found.any():
            return
        across = self.x.places(x[found], self.left, self.width)
        places = np.stack([across, np.full(across.size, y)], axis=-1)
        shape = "^" if above else "v"
        self.sheet.marks(places, marker=shape, markersize=TRIANGLE, color=line.look.colour)
        words = [figure(value) for value in values[found]]
        for text, start in values_beside(across.tolist(), words, self.right):
            self.sheet.figures([text], [(start, y)], VALUE_FONT, line.look.colour, anchor=(0, 0.5))


def _runs(found: Any) -> Iterator[NDArray[np.intp]]:
    """(L,) bool: the places of neighbours that were found, at least two."""
    for run in np.split(np.arange(found.size), np.flatnonzero(~found)):
        if found[run].sum() > 1:
            yield run[found[run]]


def values_beside(places: Sequence[float], words: Sequence[str], right: float) -> list[tuple[str, float]]:
    """The values of triangles and where they start: at the right of their triangle, if there is space.

    Values of triangles that are close to each other are together behind the last one, or before the first
    one if the panel ends.
    """
    groups: list[tuple[float, float, str]] = []  # first and last triangle, and the values
    for place, text in zip(places, words, strict=True):
        if groups and _end(groups[-1]) > place - GAP:
            groups[-1] = (groups[-1][0], place, f"{groups[-1][2]}, {text}")
        else:
            groups.append((place, place, text))
    while _end(groups[-1]) > right:
        start = groups[-1][0] - GAP - width_of(groups[-1][2], VALUE_FONT)
        if len(groups) == 1 or start > _end(groups[-2]) + GAP:
            return [*((text, last + GAP) for _, last, text in groups[:-1]), (groups[-1][2], start)]
        before, after = groups[-2:]
        groups[-2:] = [(before[0], after[1], f"{before[2]}, {after[2]}")]
    return [(text, last + GAP) for _, last, text in groups]


def _end(group: tuple[float, float, str]) -> float:
    return group[1] + GAP + width_of(group[2], VALUE_FONT)
