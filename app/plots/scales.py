"""Axes for numbers that span decades."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def scale_logarithmically(axes: Axes, which: Literal["x", "y"]) -> None:
    """For all that share the axis; as it is where nothing is above zero."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if axis.get_minpos() == math.inf:
        return
    axes.set(**{f"{which}scale": "log"})
    low, high = axis.get_view_interval()
    axis.set_major_locator(_ticks(high / low))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_locator(NullLocator())


def _ticks(ratio: float) -> Locator:
    """Four to eight ticks, whether the axis spans a third of a decade or several decades."""
    if ratio < 3:
        return MaxNLocator(6)
    return LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 1000 else (1,))
