"""Layerscope's core, as its own documentation says: `load_model`, `profile_texts`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants.transformers_loops import Contestant, Statistics
from layerscope.core import load_model, profile_texts
from layerscope.names import COMPONENTS


def block(folder: Path, dtype: str, device: str) -> Contestant:
    """The block alone: what the others measure, though all seven metrics of it."""
    return _contestant(folder, dtype, device, ("block",))


def everything(folder: Path, dtype: str, device: str) -> Contestant:
    """All components, which is the service's default."""
    return _contestant(folder, dtype, device, COMPONENTS)


def _contestant(folder: Path, dtype: str, device: str, components: Sequence[str]) -> Contestant:
    model = load_model(folder, dtype=dtype, device=device)

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in profile_texts(model, texts, components=components):
            if text.error:
                raise RuntimeError(text.error)
            # (component, scope, layer, metric): block, all tokens, layers 1 … L−1, δ's mean and absolute mean
            yield text.values[0, 0, 1:, :2]

    return run
