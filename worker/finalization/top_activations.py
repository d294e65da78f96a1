"""The largest activations of many texts, from the largest of each."""

from collections.abc import Iterator

import numpy as np

from layerscope.arrays import Array
from layerscope.names import TOP_ACTIVATIONS
from layerscope.values import split_analysis

TopActivation = tuple[float, ...]  # unit, value, token, ratio, texts, first_texts


def top_activations_of(analyses: Array) -> Iterator[list[TopActivation]]:
    """For each layer, the four units with the largest |h| on any token of any text, the largest first.

    The result is exact although only four units of each text are known: a unit among the four largest of all
    texts is also among the four largest of its own text. Each unit comes with its largest value, the token
    of that value, and its ratio to the median |h| of its text; then the number of texts that have the unit
    among their four largest, and the number of those in which it is on the first token.

    Args:
        analyses: (n, L, ANALYSIS_NUMBERS), n ≥ 1, as stored.
    """
    _, units, values, tokens, ratio = split_analysis(analyses)
    for layer in range(analyses.shape[1]):
        yield _of_layer(units[:, layer], values[:, layer], tokens[:, layer], ratio[:, layer, 0])


def _of_layer(units: Array, values: Array, tokens: Array, ratio: Array) -> list[TopActivation]:
    """units, values, tokens: (n, 4); ratio: (n,), the largest |h| of each text divided by its median."""
    sizes = np.abs(values)
    falling = np.argsort(-sizes, axis=None, kind="stable")
    _, first_places = np.unique(units.ravel()[falling], return_index=True)
    found: list[TopActivation] = []
    for text, place in zip(
        *np.unravel_index(falling[np.sort(first_places)[:TOP_ACTIVATIONS]], units.shape), strict=True
    ):
        held = units == units[text, place]
        to_median = sizes[text, place] / sizes[text, 0] * ratio[text] if sizes[text, 0] else np.nan
        found.append(
            (
                *(units[text, place], values[text, place], tokens[text, place], to_median),
                *(held.sum(), (held & (tokens == 0)).sum()),
            )
        )
    return found
