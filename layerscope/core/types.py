"""The types by which the modules of the core talk to each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

# A decoder layer's number and the residual that enters it → the residual that leaves it; (1, N, D) both
RunLayer = Callable[[int, Tensor], Tensor]
# Attention over a packed row: query (N, H, d), key and value (N, K, d), the texts' lengths, the scale of the
# products → (N, H, d)
Kernel = Callable[[Tensor, Tensor, Tensor, tuple[int, ...], float], Tensor]


class Record(Protocol):
    """What a hook tells: h, the residual that entered a component, and what δ follows from.

    δ is the sum of `parts`; where `after`, the one part is h + δ, what leaves the component. All (N, D), on
    the layer's device. δ itself is left to whoever reduces it, piece by piece: as a whole it would be written
    to memory and read again.
    """

    def __call__(
        self, layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False
    ) -> None: ...


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
