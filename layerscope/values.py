"""The codec of the stored values of a text: no other module knows the layout of these bytes.

`values`: little-endian float64 in the order (component, scope, layer, metric). The components are those of
the options of the job, the scopes those of the job. NaN means "no value".
`square_norms`: little-endian float64 in the order (kind, layer): the sum of ‖h[ℓ]‖² over all tokens, and over
the massive ones.
`analysis`: little-endian float64 in the order (layer, number). For each layer the ANALYSIS_METRICS; then, for
the TOP_ACTIVATIONS largest activations that leave the layer, their units, values and tokens; then the ratio
of the largest activation to the median.
The values of tokens: little-endian float32, first the TOKEN_METRICS in the order (token, component, layer,
metric), then, if the job requested the logit lens, the LENS_COLUMNS in the order (token, layer, column).
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerscope.arrays import Array
from layerscope.names import (
    ANALYSIS_METRICS,
    LENS_COLUMNS,
    METRICS,
    TOKEN_METRICS,
    TOP_ACTIVATIONS,
    metrics_of,
)

Array32 = NDArray[np.float32]

STORED = np.dtype("<f8")
STORED_OF_TOKENS = np.dtype("<f4")
ANALYSIS_NUMBERS = len(ANALYSIS_METRICS) + 3 * TOP_ACTIVATIONS + 1  # per layer


class AnalysisParts(NamedTuple):
    """The numbers of analysed texts, each (..., L, K)."""

    metrics: Array  # K = the number of ANALYSIS_METRICS
    units: Array  # K = TOP_ACTIVATIONS, here and below
    values: Array
    tokens: Array
    ratio: Array  # K = 1


class TokenParts(NamedTuple):
    """The numbers of the tokens of one text."""

    values: Array32  # (T, C, L, M), M = the number of TOKEN_METRICS
    predictions: Array32 | None  # (T, L, 2), the LENS_COLUMNS


def encode(values: Array) -> bytes:
    """The values of a text, (C, S, L, M) float64, as bytes."""
    return values.astype(STORED).tobytes()


def decode(stored: bytes, components: int, scopes: int) -> Array:
    """The values of a text, (C, S, L, M) float64, read-only; `components` is C, `scopes` is S."""
    return np.frombuffer(stored, STORED).reshape(components, scopes, -1, len(METRICS))


def encode_square_norms(square_norms: Array) -> bytes:
    """(2, L) float64 as bytes."""
    return square_norms.astype(STORED).tobytes()


def decode_square_norms(stored: bytes) -> Array:
    """(2, L) float64, read-only."""
    return np.frombuffer(stored, STORED).reshape(2, -1)


def row_keys(scopes: Sequence[str], components: Sequence[str], layers: int) -> list[tuple[str, str, int]]:
    """The (scope, component, layer) of each row of a text, in the order of the files."""
    return list(product(scopes, components, range(layers)))


def rows(values: Array, analysis: bytes | None, analyses: Iterable[str]) -> Array:
    """The rows of a text in the order of `row_keys`: (S · C · L, M + A) float64; NaN = no value.

    The A metrics of the analyses have values only in component `block` and scope `all`, the first L rows.
    """
    measured = values.swapaxes(0, 1).reshape(-1, len(METRICS))
    measured = np.where(np.isfinite(measured), measured, np.nan)
    metrics = metrics_of(analyses)
    added = np.full((len(measured), len(metrics)), np.nan)
    if analysis is not None:
        of_layers = select_metrics(decode_analysis(analysis), metrics)
        added[: len(of_layers)] = of_layers
    return np.hstack([measured, added])


def encode_analysis(*parts: NDArray[Any]) -> bytes:
    """The analysis of one text as bytes, from the fields of AnalysisParts, each (L, K)."""
    return np.concatenate(parts, axis=-1).astype(STORED).tobytes()


def decode_analysis(stored: bytes) -> Array:
    """The analysis of one text, (L, ANALYSIS_NUMBERS) float64, read-only."""
    return np.frombuffer(stored, STORED).reshape(-1, ANALYSIS_NUMBERS)


def split_analysis(numbers: Array) -> AnalysisParts:
    """The parts of (..., L, ANALYSIS_NUMBERS)."""
    ends = len(ANALYSIS_METRICS) + TOP_ACTIVATIONS * np.arange(4)
    return AnalysisParts(*np.split(numbers, ends, axis=-1))


def select_metrics(numbers: Array, metrics: Sequence[str]) -> Array:
    """(..., L, ANALYSIS_NUMBERS) → (..., L, len(metrics)), in the order of `metrics`."""
    return numbers[..., [ANALYSIS_METRICS.index(metric) for metric in metrics]]


def encode_tokens(values: Array32, predictions: Array32 | None) -> bytes:
    """The numbers of the tokens of a text, as in TokenParts, as bytes."""
    parts = (values,) if predictions is None else (values, predictions)
    return b"".join(part.astype(STORED_OF_TOKENS).tobytes() for part in parts)


def decode_tokens(stored: bytes, tokens: int, components: int, logit_lens: bool) -> TokenParts:
    """The numbers of the `tokens` tokens of a text, read-only."""
    numbers = np.frombuffer(stored, STORED_OF_TOKENS)
    of_layer = components * len(TOKEN_METRICS) + (len(LENS_COLUMNS) if logit_lens else 0)
    layers = len(numbers) // (tokens * of_layer)
    shape = tokens, components, layers, len(TOKEN_METRICS)
    values, predictions = np.split(numbers, [prod(shape)])
    return TokenParts(values.reshape(shape), predictions.reshape(tokens, layers, -1) if logit_lens else None)
