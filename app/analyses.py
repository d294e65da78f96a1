"""What a job's analyses add to its tables: the columns of those that were asked for, and no others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.vocabulary import ANALYSIS_METRICS, METRICS_OF_ANALYSIS, PEAKS, STATISTICS

NUMBERS = len(ANALYSIS_METRICS) + 3 * PEAKS + 1  # of a layer


def metrics_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """What a job of these options measures on a sample of its texts."""
    return tuple(
        metric for analysis in options.get("analyses", ()) for metric in METRICS_OF_ANALYSIS[analysis]
    )


def statistics_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of `layer_profile` that come with it."""
    columns = tuple(metric + suffix for metric in metrics_of(options) for suffix in STATISTICS)
    return ("analysis_texts", *columns) if columns else ()


def unpacked(analysis: bytes) -> NDArray[np.float64]:
    """(L, NUMBERS), as `text_profile.analysis` holds it."""
    return np.frombuffer(analysis, "<f8").reshape(-1, NUMBERS)


def metrics_in(analyses: NDArray[np.float64], options: Mapping[str, Any]) -> NDArray[np.float64]:
    """(..., M): the metrics asked for, from (..., NUMBERS)."""
    return analyses[..., [ANALYSIS_METRICS.index(metric) for metric in metrics_of(options)]]


def beside(
    rows: NDArray[np.float64], analysis: bytes | None, options: Mapping[str, Any]
) -> NDArray[np.float64]:
    """A text's rows, of each scope, component and layer, with the metrics asked for as further columns.

    Those have a value in component `block` and scope `all` alone: the first rows, one a layer.
    """
    further = np.full((len(rows), len(metrics_of(options))), np.nan)
    if analysis is not None:
        of_layers = metrics_in(unpacked(analysis), options)
        further[: len(of_layers)] = of_layers
    return np.hstack([rows, further])
