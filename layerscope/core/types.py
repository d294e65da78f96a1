"""Types that several modules of the core share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

# Runs one decoder layer: its number and the residual that enters it → the residual that leaves it; (1, N, D)
# both
RunLayer = Callable[[int, Tensor], Tensor]


class Kernel(Protocol):
    """Attention over a packed batch; see `attention.kernels.loop`."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lengths: tuple[int, ...],
        scale: float,
        window: int | None = None,
        cap: float | None = None,
    ) -> Tensor: ...


class Record(Protocol):
    """Receives what a hook observes: h, the residual that entered a component, and the parts of δ.

    δ is the sum of `parts`. With `after` there is one part, which is h + δ, the residual that leaves the
    component. All tensors are (N, D) on the device of the layer. The hook does not compute δ itself, because
    the reduction computes it piece by piece; a whole δ would be written to memory and read again.
    """

    def __call__(
        self, layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False
    ) -> None: ...


@dataclass(frozen=True)
class Block:
    """The modules of a decoder layer to which hooks are attached.

    `layer` takes h and returns h + a + m. `attention` returns a / factor, alone or as the first of a tuple;
    `middle` is the module whose argument is h + a; `mlp` returns m / factor.
    """

    layer: nn.Module
    attention: nn.Module
    middle: nn.Module
    mlp: nn.Module
    factor: float = 1.0
