"""The words and the order of every array of the core, in one place: nothing else is shared by its rooms."""

from dataclasses import dataclass

from torch import nn

COMPONENTS = ("block", "attention", "mlp")
SCOPES = ("all", "rest", "first")
METRICS = (
    "delta_mean",
    "delta_abs_mean",
    "delta_rms",
    "relative_norm",
    "cosine",
    "block_influence",
    "residual_rms",
)


@dataclass(frozen=True)
class Block:
    """Where a decoder layer can be listened to.

    `layer` takes h and returns h + a + m; `attention` returns a; `middle` is the norm whose argument is h +
    a; `mlp` returns m.
    """

    layer: nn.Module
    attention: nn.Module
    middle: nn.Module
    mlp: nn.Module


class ModelError(Exception):
    """A model cannot be loaded. The message is one sentence: what is wrong, and the setting that cures it."""
