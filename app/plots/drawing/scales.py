"""Axes for numbers that span decades."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

LINEAR_PART = 0.25  # of the values, at most
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def scale_logarithmically(axes: Axes, which: Literal["x", "y"]) -> None:
    """For all that share the axis; as it is where nothing is above zero."""
    sharing = (axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()).get_siblings(axes)
    if all(_axis(other, which).get_minpos() == math.inf for other in sharing):
        return
    axis = _axis(axes, which)
    axes.set(**{f"{which}scale": "log"})
    low, high = axis.get_view_interval()
    axis.set_major_locator(logarithmic_ticks(high / low))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_locator(NullLocator())


def _axis(axes: Axes, which: Literal["x", "y"]) -> Axis:
    return axes.xaxis if which == "x" else axes.yaxis


def logarithmic_ticks(ratio: float) -> Locator:
    """Three to eight ticks, whether the axis spans a third of a decade or several decades."""
    if ratio < 3:
        return MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    return LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 1000 else (1,))


def scale_around_zero(axes: Axes, values: Sequence[float]) -> float:
    """y, for all that share it: logarithmic to both sides of 0, and linear up to what is returned."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    linear = 10.0 ** math.floor(math.log10(np.quantile(sizes, LINEAR_PART))) if sizes else 1.0
    axes.set_yscale("symlog", linthresh=linear)
    axes.yaxis.set_major_formatter(PLAIN)
    return linear
