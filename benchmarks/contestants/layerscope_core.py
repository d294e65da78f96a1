"""Layerscope's measurement code, used as its documentation describes: `load_model` and `profile_texts`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants.transition_statistics import Contestant, Statistics
from layerscope.core import load_model, profile_texts
from layerscope.names import COMPONENTS


def block(folder: Path, dtype: str, device: str) -> Contestant:
    """The block alone, which is what the other contestants measure, but with all seven metrics."""
    return _contestant(folder, dtype, device, ("block",))


def all_components(folder: Path, dtype: str, device: str) -> Contestant:
    """All components, the default of the service."""
    return _contestant(folder, dtype, device, COMPONENTS)


def _contestant(folder: Path, dtype: str, device: str, components: Sequence[str]) -> Contestant:
    model = load_model(folder, dtype=dtype, device=device)

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in profile_texts(model, texts, components=components):
            if text.error:
                raise RuntimeError(text.error)
            # (component, scope, layer, metric): block, all tokens, layers 1 … L−1, mean of δ and of |δ|
            yield text.values[0, 0, 1:, :2]

    return run
