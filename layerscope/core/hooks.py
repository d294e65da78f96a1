"""Observes what each component adds to the residual while the model computes it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from layerscope.core.types import Block, Record


@contextmanager
def contributions(blocks: Sequence[Block], components: Sequence[str], record: Record) -> Iterator[None]:
    """Calls `record` with the residual and the delta of each component whenever the model runs.

    Only the modules that `components` requires get hooks. All hooks are removed at the end, also after an
    exception. The tensors are those of the model, not copies: `record` must not write to them.
    """
    with ExitStack() as hooks:
        for index, block in enumerate(blocks):
            _LayerHooks(index, frozenset(components), record).attach(block, hooks)
        yield


class _LayerHooks:
    """The hooks of one layer. They keep what entered the layer until its output is known."""

    def __init__(self, index: int, components: frozenset[str], record: Record) -> None:
        self.index, self.components, self.record = index, components, record
        # The tensors of the current pass: h, middle (h + a), a, m; (N, D) in the dtype of the model.
        self.seen: dict[str, Tensor] = {}

    def attach(self, block: Block, hooks: ExitStack) -> None:
        """Registers the hooks that this layer needs; closing `hooks` removes them."""
        weight = next(block.layer.parameters())
        self.device, self.factor = weight.device, block.factor
        hooks.enter_context(block.layer.register_forward_pre_hook(self.before_layer))
        hooks.enter_context(block.layer.register_forward_hook(self.after_layer))
        self.adds_parts = weight.dtype != torch.float32 and "block" in self.components
        if self.components & {"attention", "mlp"} or self.adds_parts:
            hooks.enter_context(block.attention.register_forward_hook(self.after_attention))
            hooks.enter_context(block.mlp.register_forward_hook(self.after_mlp))
        if "mlp" in self.components:
            hooks.enter_context(block.middle.register_forward_pre_hook(self.before_middle))

    def before_layer(self, _module: Any, args: tuple[Tensor, ...]) -> None:
        # If the model is spread over several devices, h may still be on the previous one.
        self.seen = {"h": _flat(args[0]).to(self.device)}

    def after_attention(self, _module: Any, _args: Any, output: Tensor | tuple[Tensor, Any]) -> None:
        added = self.added(output[0] if isinstance(output, tuple) else output)
        if "attention" in self.components:
            self.record(self.index, "attention", self.seen["h"], added)
        self.keep("a", added)

    def before_middle(self, _module: Any, args: tuple[Tensor, ...]) -> None:
        self.seen["middle"] = _flat(args[0])

    def after_mlp(self, _module: Any, _args: Any, output: Tensor) -> None:
        added = self.added(output)
        if "mlp" in self.components:
            self.record(self.index, "mlp", self.seen.pop("middle"), added)
        self.keep("m", added)

    def added(self, output: Tensor) -> Tensor:
        """What the model adds to the residual; the product is rounded as in the model."""
        return _flat(output) if self.factor == 1 else _flat(output) * self.factor

    def keep(self, name: str, added: Tensor) -> None:
        """Keeps a tensor only if `record_block` needs it: the model cannot reuse memory that is kept,
        although this memory would still be in the cache."""
        if self.adds_parts:
            self.seen[name] = added

    def after_layer(self, _module: Any, _args: Any, output: Tensor) -> None:
        if "block" in self.components:
            self.record_block(_flat(output))
        self.seen = {}

    def record_block(self, after: Tensor) -> None:
        """In half precision the model rounds the residual that it stores (in bfloat16 to a multiple of 2 at
        328), and the difference of two rounded residuals contains these errors. The sum a + m, computed in
        float32, does not contain them."""
        if self.adds_parts:
            self.record(self.index, "block", self.seen["h"], self.seen["a"], self.seen["m"])
        else:
            self.record(self.index, "block", self.seen["h"], after, after=True)


def _flat(activations: Tensor) -> Tensor:
    """(1, N, D) → (N, D)"""
    return activations.flatten(0, 1)
