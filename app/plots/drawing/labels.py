"""Labels next to points. A point is labelled only if the label can belong to no other point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.plots.drawing.panel import Panel
from app.plots.drawing.scales import Array
from app.plots.drawing.style import VALUE_FONT
from app.plots.drawing.words import DIGIT_HEIGHT, POINTS, width_of

RADIUS = 2.8 / POINTS  # of a point with its edge
OWN_GAP = 1.2 / POINTS  # from a label to its point
OTHER_GAP = 5.5 / POINTS  # at least, to every other point
BETWEEN = 3.0 / POINTS  # two labels
DIAGONAL = 0.7  # of the radius: how far a point extends towards a corner
Flags = NDArray[np.bool_]
# Directions from a point to its label; at first those between its bars along x and y.
DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
SIDEWAYS = tuple((side, up) for up in (0, 1, -1, 2, -2, 3, -3, 5, -5, 8, -8) for side in (-1, 1))


@dataclass(frozen=True)
class Label:
    """`sideways`: long, and in a strip that has room on both sides."""

    words: str
    colour: str
    sideways: bool = False


def label_points(
    panel: Panel, points: Array, names: Sequence[Label], order: Sequence[int], bars: Array
) -> None:
    """Writes names next to points (n, 2), those of `order` first. A point without a place is nan.

    `bars` (m, 2, 2): ends of lines across which nothing is written.
    """
    taken = _grown(np.concatenate([bars.min(axis=1), bars.max(axis=1)], axis=1), OWN_GAP)
    far = RADIUS + OTHER_GAP
    for number in order:
        others = np.delete(points, number, axis=0)
        boxes = _around(points[number], names[number])
        free = _inside(boxes, panel) & ~_overlap(boxes, np.hstack([others - far, others + far]))
        free &= ~_overlap(boxes, taken)
        if free.any():
            box = boxes[free.argmax()]
            taken = np.vstack([taken, _grown(box, BETWEEN)])
            place = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            panel.sheet.figures([names[number].words], [place], VALUE_FONT, names[number].colour)


def _around(point: Array, name: Label) -> Array:
    """(directions, 4): left, bottom, right and top of a label; nan for a point of nan."""
    directions = np.array(SIDEWAYS if name.sideways else DIRECTIONS)
    half = np.array([width_of(name.words, VALUE_FONT), DIGIT_HEIGHT * VALUE_FONT / POINTS]) / 2
    gap = OWN_GAP + RADIUS * np.where((directions == 0).any(axis=1), 1, DIAGONAL)[:, None]
    middles = point + directions * (gap + half)
    boxes: Array = np.hstack([middles - half, middles + half])
    return boxes


def _grown(boxes: Array, by: float) -> Array:
    return np.asarray(boxes + np.array([-by, -by, by, by]), float)


def _inside(boxes: Array, panel: Panel) -> Flags:
    low = boxes[:, :2] > (panel.left, panel.bottom)
    found: Flags = np.all(low & (boxes[:, 2:] < (panel.right, panel.top)), axis=1)
    return found


def _overlap(boxes: Array, others: Array) -> Flags:
    """(boxes,): whether a box overlaps at least one of the others, of which those of nan do not count."""
    boxes = boxes[:, None]
    common: Flags = (boxes[..., :2] < others[:, 2:]) & (boxes[..., 2:] > others[:, :2])
    found: Flags = np.any(np.all(common, axis=-1), axis=-1)
    return found
