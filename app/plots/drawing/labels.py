"""Labels next to points: no label covers another label or a point."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from app.plots.drawing.canvas import INK, MUTED

FONT = 7.5  # points, as all lengths here
DIGIT, HEIGHT, DOT, GAP = 0.64 * FONT, 1.15 * FONT, 5.0, 2.5
DISTANCES = (8, 12, 17, 23, 30, 38, 47)  # from a point to the middle of its name
DIRECTIONS = 16
UNLINKED = 12  # up to this distance a name needs no line to its point

Place = tuple[float, float]


def label_points(axes: Axes, points: NDArray[np.float64], names: Sequence[str]) -> None:
    """Writes names next to points (n, 2), after the layout is fixed; omits a name if there is no space."""
    scale = 72 / axes.figure.dpi
    dots = axes.transData.transform(points) * scale
    taken = [(x, y, DOT, DOT) for x, y in dots]
    corners = axes.bbox.get_points() * scale
    for dot, point, name in zip(dots, points, names, strict=True):
        size = DIGIT * len(name) + GAP, HEIGHT
        place = next((p for p in _around(dot) if _is_free((*p, *size), taken, corners)), None)
        if place is not None:
            taken.append((*place, *size))
            _write(axes, name, point, (place[0] - dot[0], place[1] - dot[1]))


def _around(dot: NDArray[np.float64]) -> Iterator[Place]:
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            angle = 2 * math.pi * (step / DIRECTIONS + 1 / 8)  # at first between the bars along x and y
            yield dot[0] + distance * math.cos(angle), dot[1] + distance * math.sin(angle)


def _is_free(
    box: tuple[float, float, float, float],
    taken: Sequence[tuple[float, float, float, float]],
    corners: NDArray[np.float64],
) -> bool:
    x, y, width, height = box
    (left, bottom), (right, top) = corners
    inside = left + width / 2 < x < right - width / 2 and bottom + height / 2 < y < top - height / 2
    return inside and not any(
        abs(x - other[0]) < (width + other[2]) / 2 and abs(y - other[1]) < (height + other[3]) / 2
        for other in taken
    )


def _write(axes: Axes, name: str, point: NDArray[np.float64], offset: Place) -> None:
    dotted = {"linestyle": ":", "linewidth": 0.8}  # a plain line could be taken for an interval
    line = {"arrowstyle": "-", "color": MUTED, "shrinkA": 0, "shrinkB": 2, **dotted}
    axes.annotate(
        name,
        (point[0], point[1]),
        offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=FONT,
        color=INK,
        arrowprops=line if math.hypot(*offset) > UNLINKED else None,
    )
