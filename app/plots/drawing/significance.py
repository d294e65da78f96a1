"""Layers whose value differs from 0 with certainty, and the others, which are muted."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.plots.drawing.scales import Array
from app.plots.drawing.style import NOT_SIGNIFICANT, SIGNIFICANT, Look

INTERVAL_KEYS = {
    SIGNIFICANT: "the interval does not contain 0",
    NOT_SIGNIFICANT: "the interval contains 0, or there is none (one text)",
}
INTERVAL_WORDS = "Bars: 95 % confidence intervals of the means"


def excludes_zero(low: Array, high: Array) -> NDArray[np.bool_]:
    """False where there is no interval."""
    found: NDArray[np.bool_] = (low > 0) | (high < 0)
    return found


def split(significant: NDArray[np.bool_]) -> Iterator[tuple[Look, NDArray[np.intp]]]:
    """The looks and the places of both kinds."""
    yield NOT_SIGNIFICANT, np.flatnonzero(~significant)
    yield SIGNIFICANT, np.flatnonzero(significant)
