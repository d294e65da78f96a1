"""Summaries of run times: medians with quartiles, and ratios computed round by round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median, quartiles and minimum of repeated measurements."""

    median: float
    low: float
    high: float
    least: float

    def __format__(self, number: str) -> str:
        return f"{self.median:{number}} [{self.low:{number}}–{self.high:{number}}]"


def spread(values: Sequence[float]) -> Spread:
    """With a single value, all four figures are this value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, min(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """over / under in each round. Interference from other programs affects both sides of a round.

    `least` is not the smallest ratio. It is the ratio of the two shortest times, which estimates the result
    on an idle machine.
    """
    paired = spread([a / b for a, b in zip(over, under, strict=True)])
    return Spread(paired.median, paired.low, paired.high, min(over) / min(under))
