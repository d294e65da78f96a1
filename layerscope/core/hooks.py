"""What each component adds to the residual, as the model computes it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from layerscope.core.types import Block, Record


@contextmanager
def contributions(blocks: Sequence[Block], components: Sequence[str], record: Record) -> Iterator[None]:
    """Reports every component's residual and what it adds while the model runs; always leaves the model
    without hooks.

    Only what `components` needs is hooked. Tensors are the model's own, not copies: `record` must not write
    to them.
    """
    with ExitStack() as hooks:
        for index, block in enumerate(blocks):
            _Tap(index, frozenset(components), record).attach(block, hooks)
        yield


class _Tap:
    """One layer: remembers what entered it until what it wrote is known."""

    def __init__(self, index: int, components: frozenset[str], record: Record) -> None:
        self.index, self.components, self.record = index, components, record
        self.seen: dict[
            str, Tensor
        ] = {}  # of the current pass: h, middle (h + a), a, m; (N, D), the model's dtype

    def attach(self, block: Block, hooks: ExitStack) -> None:
        """Registers the hooks this layer needs; `hooks` removes them."""
        weight = next(block.layer.parameters())
        self.device = weight.device
        hooks.enter_context(block.layer.register_forward_pre_hook(self.enter))
        hooks.enter_context(block.layer.register_forward_hook(self.leave))
        self.adds = weight.dtype != torch.float32 and "block" in self.components
        if self.components & {"attention", "mlp"} or self.adds:
            hooks.enter_context(block.attention.register_forward_hook(self.attended))
            hooks.enter_context(block.mlp.register_forward_hook(self.transformed))
        if "mlp" in self.components:
            hooks.enter_context(block.middle.register_forward_pre_hook(self.between))

    def enter(self, _module: Any, args: tuple[Tensor, ...]) -> None:
        # In a model spread over several devices h may still be on the one before.
        self.seen = {"h": _flat(args[0]).to(self.device)}

    def attended(self, _module: Any, _args: Any, output: tuple[Tensor, Any]) -> None:
        added = _flat(output[0])
        if "attention" in self.components:
            self.record(self.index, "attention", self.seen["h"], added)
        self.keep("a", added)

    def between(self, _module: Any, args: tuple[Tensor, ...]) -> None:
        self.seen["middle"] = _flat(args[0])

    def transformed(self, _module: Any, _args: Any, output: Tensor) -> None:
        added = _flat(output)
        if "mlp" in self.components:
            self.record(self.index, "mlp", self.seen.pop("middle"), added)
        self.keep("m", added)

    def keep(self, name: str, added: Tensor) -> None:
        """Only where `record_block` will need it: what is held is memory that the model can't use again while
        the cache still has it."""
        if self.adds:
            self.seen[name] = added

    def leave(self, _module: Any, _args: Any, output: Tensor) -> None:
        if "block" in self.components:
            self.record_block(_flat(output))
        self.seen = {}

    def record_block(self, after: Tensor) -> None:
        """A half-precision model rounds the residual it stores (to 2 where it holds 328 in bfloat16), and a
        difference of two rounded residuals keeps that error; a + m, added in float32, does not have it."""
        if self.adds:
            self.record(self.index, "block", self.seen["h"], self.seen["a"], self.seen["m"])
        else:
            self.record(self.index, "block", self.seen["h"], after, after=True)


def _flat(activations: Tensor) -> Tensor:
    """(1, N, D) → (N, D)"""
    return activations.flatten(0, 1)
