"""The scale of an axis: which values it covers, where they are, and its ticks."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

PADDING = 0.05  # of the axis, at both ends
MOST_OUTSIDE = 4  # layers that an axis does not cover
LAYERS_PER_OUTSIDE = 5  # of few layers, fewer are outside
GAIN = 2  # a layer is outside only if the axis would otherwise be more than this many times as long
TICK_INCHES, LAYER_TICK_INCHES = 0.42, 0.31
LAYER_STEPS = (1, 2, 5, 10, 20, 50, 100)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`. `outside_…`: inches at its ends for values that it does not cover."""

    low: float
    high: float
    ticks: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    logarithmic: bool = False
    outside_low: float = 0.0
    outside_high: float = 0.0

    def places(self, values: ArrayLike, start: float, length: float) -> Array:
        """In inches on an axis with this start and length; nan where there is no place."""
        inner = length - self.outside_low - self.outside_high
        low, high = _on(np.array([self.low, self.high]), self.logarithmic)
        found: Array = start + self.outside_low + inner * (_on(values, self.logarithmic) - low) / (high - low)
        return found

    def covered(self, values: ArrayLike) -> Array:
        """The values, nan instead of those outside."""
        found = np.asarray(values, float)
        return np.where((found >= self.low) & (found <= self.high), found, np.nan)

    def cut(self, values: ArrayLike) -> Array:
        """The values, an end of the axis instead of those outside."""
        return np.asarray(np.clip(np.asarray(values, float), self.low, self.high))


EMPTY = Scale(0, 1)


def layer_scale(layers: int, inches: float) -> Scale:
    step = next(step for step in LAYER_STEPS if layers / step <= max(1, inches / LAYER_TICK_INCHES))
    ticks = tuple(range(0, layers, step))
    return Scale(-0.5, layers - 0.5, ticks, tuple(map(str, ticks)))


def scale_over(values: ArrayLike, inches: float, *, logarithmic: bool = False, padded: bool = True) -> Scale:
    """Covers all finite values, on a logarithmic axis those above 0; EMPTY if there are none."""
    found = _on(values, logarithmic)
    found = found[np.isfinite(found)]
    if not found.size:
        return EMPTY
    low, high = float(found.min()), float(found.max())
    padding = PADDING * padded * (high - low)
    if high == low:
        padding = 0.4 if logarithmic else 0.5 * abs(high) or 1.0
    low, high = low - padding, high + padding
    if logarithmic:
        low, high = math.exp(low), math.exp(high)
    ticks = _ticks(low, high, inches, logarithmic)
    return Scale(low, high, ticks, tuple(map(plain, ticks)), logarithmic)


def covered_layers(
    values: ArrayLike, *, logarithmic: bool = False, with_zero: bool = False
) -> NDArray[np.bool_]:
    """(L,): the layers of (lines, L) values that an axis covers; `with_zero`: it also covers 0.

    A layer is outside if it alone would make the axis more than GAIN times as long: at most MOST_OUTSIDE
    layers. Layer 0 receives only the embedding and often writes a hundred times as much as the others.
    """
    low, high = (_extreme(of, values, logarithmic) for of in (np.fmin, np.fmax))
    if with_zero:
        low, high = np.fmin(low, 0), np.fmax(high, 0)
    layers = low.size
    for count in range(min(MOST_OUTSIDE, layers // LAYERS_PER_OUTSIDE), 0, -1):
        for outside in _candidates(low, high, count):
            shortest = _length(low, high, outside)
            alone = [_length(low, high, outside - {layer}) for layer in outside]
            if min(alone) > GAIN * shortest:
                return ~np.isin(np.arange(layers), list(outside))
    return np.ones(layers, bool)


def _on(values: ArrayLike, logarithmic: bool) -> Array:
    found = np.asarray(values, float)
    if not logarithmic:
        return found
    return np.asarray(np.log(found, where=found > 0, out=np.full(found.shape, np.nan)))


def _extreme(of: np.ufunc, ends: ArrayLike, logarithmic: bool) -> Array:
    """(L,): the largest or the smallest of all lines."""
    found = _on(ends, logarithmic)
    extreme: Array = of.reduce(np.where(np.isfinite(found), found, np.nan), axis=0)
    return extreme


def _candidates(low: Array, high: Array, count: int) -> Sequence[set[int]]:
    """Sets of the lowest and the highest layers; those that leave the shortest axis first."""
    lowest = np.argsort(np.where(np.isnan(low), np.inf, low))[:count]
    highest = np.argsort(np.where(np.isnan(high), -np.inf, high))[-count:]
    found = map(set, combinations(sorted({*lowest.tolist(), *highest.tolist()}), count))
    return sorted(found, key=lambda outside: _length(low, high, outside))


def _length(low: Array, high: Array, outside: Collection[int]) -> float:
    inside = ~np.isin(np.arange(low.size), list(outside))
    if not np.isfinite(low[inside]).any() or not np.isfinite(high[inside]).any():
        return math.inf
    return float(np.nanmax(high[inside]) - np.nanmin(low[inside]))


def _ticks(low: float, high: float, inches: float, logarithmic: bool) -> tuple[float, ...]:
    """Three to nine ticks, whether a logarithmic axis spans a third of a decade or several decades."""
    if logarithmic and high / low >= 3:
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = max(1, len(exponents) // 8)
        parts = (1, 1.5, 2, 3, 5, 7) if high / low < 10 else (1, 2, 5) if high / low < 1000 else (1,)
        found = [part * 10.0**exponent for exponent in exponents[::every] for part in parts]
    else:
        most = min(max(round(inches / TICK_INCHES), 3), 7)
        found = list(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    nothing = 0 if logarithmic else 1e-9 * (high - low)  # the locator does not hit 0 exactly
    return tuple(0.0 if abs(tick) < nothing else float(tick) for tick in found if low <= tick <= high)


def plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def figure(value: float) -> str:
    """Three digits, with their zeros."""
    text = f"{value:#.3g}" if 1e-4 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"
    return text.removesuffix(".").replace("-", "−")
