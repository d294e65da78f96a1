"""Seconds to figures: medians with quartiles, and ratios taken round by round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Of several runs of the same: the middle one, the quartiles around it, and the least."""

    median: float
    low: float
    high: float
    least: float

    def __format__(self, number: str) -> str:
        return f"{self.median:{number}} [{self.low:{number}}–{self.high:{number}}]"


def spread(values: Sequence[float]) -> Spread:
    """Of one value the quartiles are the value itself."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, min(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """over / under of each round: whatever else the machine did then slowed both.

    `least` is not the least ratio but that of the least times, which is what a quiet machine would show.
    """
    paired = spread([a / b for a, b in zip(over, under, strict=True)])
    return Spread(paired.median, paired.low, paired.high, min(over) / min(under))
