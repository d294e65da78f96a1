"""The y axis of layers, which does not cover a layer that would compress the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.plots.drawing.panel import OUTSIDE_ROW
from app.plots.drawing.scales import Scale, covered_layers, scale_over

Array = NDArray[np.float64]
CUT = "Bars and bands that extend beyond the axis are cut"
LONGEST_INTERVAL = 1  # times the range of the values: few texts have longer ones, which are cut
LEAST_RATIO = 2.0  # on a logarithmic axis


@dataclass(frozen=True)
class LayerAxis:
    """A scale, the layers that it does not cover, and a sentence of the caption if intervals are cut."""

    scale: Scale
    outside: Sequence[int] = ()
    cut: Sequence[str] = ()

    @property
    def words(self) -> list[str]:
        """Sentences of the caption."""
        if not self.outside:
            return [*self.cut]
        *others, last = map(str, self.outside)
        names = f"layers {', '.join(others)} and {last}" if others else f"layer {last}"
        return [f"Triangles: values of {names} outside the axis, written from left to right", *self.cut]


def layer_axis(
    values: Array,
    inches: float,
    *,
    bands: Sequence[Array] = (),
    intervals: Sequence[Array] = (),
    rows: int = 1,
    logarithmic: bool = False,
    with_zero: bool = False,
) -> LayerAxis:
    """An axis for (lines, L) values. `bands`, `intervals`: their ends, of equal shape.

    The axis covers the ends of bands, and the ends of intervals up to LONGEST_INTERVAL.

    `rows`: how many lines share a panel. Values outside have a row of the panel for each of them.
    """
    covered = covered_layers(values, logarithmic=logarithmic, with_zero=with_zero)

    def scale_of(layers: NDArray[np.bool_]) -> Scale:
        shown = values[:, layers]
        limits = _limits(shown, logarithmic, with_zero)
        ends = [*(end[:, layers] for end in bands), *(np.clip(end[:, layers], *limits) for end in intervals)]
        zeros = [np.zeros_like(shown)] if with_zero else []
        return scale_over(np.concatenate([shown, *ends, *zeros]), inches, logarithmic=logarithmic)

    scale = scale_of(covered)
    # The ends of bands and intervals may extend the axis to other layers.
    scale = scale_of(covered | ~((values > scale.high) | (values < scale.low)).any(axis=0))
    if not scale.ticks:
        return LayerAxis(scale)
    above, below = values > scale.high, values < scale.low
    beyond = above | below
    cut = any((((end > scale.high) | (end < scale.low)) & ~beyond).any() for end in [*bands, *intervals])
    room = rows * OUTSIDE_ROW
    scale = replace(scale, outside_high=room * bool(above.any()), outside_low=room * bool(below.any()))
    layers = np.flatnonzero(beyond.any(axis=0)).tolist()
    return LayerAxis(scale, layers, [CUT] * cut)


def _limits(values: Array, logarithmic: bool, with_zero: bool) -> tuple[float, float]:
    """Of the ends of intervals."""
    found = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not found.size:
        return -math.inf, math.inf
    low, high = float(found.min()), float(found.max())
    if logarithmic:
        ratio = max((high / low) ** LONGEST_INTERVAL, LEAST_RATIO)
        return low / ratio, high * ratio
    low, high = (min(low, 0), max(high, 0)) if with_zero else (low, high)
    longest = LONGEST_INTERVAL * (high - low) or math.inf
    return low - longest, high + longest
