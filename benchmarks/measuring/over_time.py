"""How a value developed during a long measurement."""

from collections.abc import Sequence
from statistics import median

PARTS = 12  # of the time


def medians_over_time(values: Sequence[float]) -> str:
    """The medians of PARTS parts of the time, and of what remains, separated by commas."""
    size = max(1, len(values) // PARTS)
    parts = [median(values[start : start + size]) for start in range(0, len(values), size)]
    return ", ".join(f"{part:.1f}" for part in parts)
