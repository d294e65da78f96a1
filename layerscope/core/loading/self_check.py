"""The self-check of a loaded model: plain transformers and the measurement must agree.

A short text runs through the plain model (its own eager attention, no packing), and then through it as it is
measured: packed after a longer text, with the chosen attention kernel and matrix product, and with the hooks.
In the second run every layer gets the residual of the plain run, so rounding does not add up over the layers,
and a difference belongs to the layer in which it appears.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from layerscope.core.attention.kernels import KERNELS
from layerscope.core.attention.packed import run_packed
from layerscope.core.hooks import contributions
from layerscope.core.model import Model, blocks
from layerscope.core.types import Block
from layerscope.errors import ModelError
from layerscope.names import COMPONENTS

_SHORT, _LONG = 9, 40  # tokens
# ‖difference‖ relative to ‖a‖ + ‖m‖. Random models of all families differ by 2·10⁻⁷, 6·10⁻⁴ and 5·10⁻³.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
_NAME = "layerscope_eager"


@dataclass
class _Pass:
    """The residuals of the short text in one pass: (T, D) each, in the order of the layers."""

    before: list[Tensor] = field(default_factory=list)  # h
    middle: list[Tensor] = field(default_factory=list)  # h + a
    after: list[Tensor] = field(default_factory=list)  # h + a + m

    def at(self, layer: int) -> list[Tensor]:
        return [self.before[layer], self.middle[layer], self.after[layer]]


@torch.inference_mode()
def self_check(model: Model) -> None:
    """Raises: ModelError, naming the layer and the component in which the measurement disagrees with the
    model, or the error that transformers raises for the model."""
    layers = blocks(model.module)
    ids = (torch.arange(_LONG + _SHORT, device=model.device) * 7919 + 13) % model.module.config.vocab_size
    long, short = ids[: model.max_tokens][:_LONG], ids[_LONG:][: model.max_tokens]
    plain = _plain_pass(model, layers, short)
    seen, added = _measured_pass(model, layers, long, short, plain.before)
    if not _close(seen.before[0], plain.before[0], plain.before[0], []):
        raise ModelError(_message(model, 0, "the residual that enters is not that of plain transformers"))
    for layer in range(model.layers):
        if not all(torch.isfinite(state).all() for state in plain.at(layer)):
            return  # float16 overflows: the texts will have this error, and later layers have no reference
        if problem := _disagreement(plain.at(layer), seen.at(layer), added[layer]):
            raise ModelError(_message(model, layer, problem))


@cache
def _register() -> None:
    """Makes `_eager` known to transformers, with the mask of eager attention, on first use."""
    AttentionInterface.register(_NAME, _eager)
    AttentionMaskInterface.register(_NAME, eager_mask)


def _eager(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **named: Any
) -> tuple[Tensor, None]:
    """The eager attention of the model's own family, in float32.

    In half precision it would round the scores. Where they are in the hundreds (Qwen2), the rounding is as
    large as the differences between tokens, so it is no reference for the fused kernels, which do not round
    them.
    """
    eager = sys.modules[type(module).__module__].eager_attention_forward
    mask = None if mask is None else mask.float()
    attended: Tensor = eager(module, query.float(), key.float(), value.float(), mask, **named)[0]
    return attended.to(query.dtype), None


def _plain_pass(model: Model, layers: list[Block], text: Tensor) -> _Pass:
    module = model.module
    before = module.config._attn_implementation
    _register()
    module.set_attn_implementation(_NAME)
    try:
        with _observed(layers, len(text), None) as seen:
            module(input_ids=text[None], use_cache=False)
    except Exception as error:  # transformers raises anything for a configuration that it cannot run
        raise ModelError(
            f"transformers cannot run {model.source} ({type(error).__name__}: {error}): correct config.json."
        ) from error
    finally:
        module.set_attn_implementation(before)
    return seen


def _measured_pass(
    model: Model, layers: list[Block], long: Tensor, short: Tensor, given: list[Tensor]
) -> tuple[_Pass, list[dict[str, Tensor]]]:
    """One packed pass in which every layer gets the residuals `given` for the short text.

    Returns: its residuals, and for each layer what the hooks report as added to them.
    """
    added: list[dict[str, Tensor]] = [{} for _ in layers]

    def record(layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False) -> None:
        if component != "block":
            added[layer][component] = parts[0][-len(short) :]

    lengths = len(long), len(short)
    positions = torch.cat([torch.arange(length, device=model.device) for length in lengths])
    ids = torch.cat([long, short])
    with _observed(layers, len(short), given) as seen, contributions(layers, COMPONENTS, record):
        run_packed(model.module, ids[None], positions[None], lengths, KERNELS[model.attention])
    return seen, added


@contextmanager
def _observed(layers: list[Block], tokens: int, given: list[Tensor] | None) -> Iterator[_Pass]:
    """Collects the residuals of the last tokens; with `given`, replaces those that enter each layer."""
    seen = _Pass()

    def enter(layer: int) -> Callable[..., Any]:
        def hook(_module: Any, args: tuple[Tensor, ...]) -> Any:
            seen.before.append(args[0][0, -tokens:])
            if given is None:
                return None
            residual = torch.cat([args[0][:, :-tokens], given[layer][None].to(args[0].device)], 1)
            return residual, *args[1:]

        return hook

    def pass_middle(_module: Any, args: tuple[Tensor, ...]) -> None:
        seen.middle.append(args[0].flatten(0, -2)[-tokens:])

    def leave(_module: Any, _args: Any, output: Tensor) -> None:
        seen.after.append(output[0, -tokens:])

    with ExitStack() as hooks:
        for layer, block in enumerate(layers):
            hooks.enter_context(block.layer.register_forward_pre_hook(enter(layer)))
            hooks.enter_context(block.middle.register_forward_pre_hook(pass_middle))
            hooks.enter_context(block.layer.register_forward_hook(leave))
        yield seen


def _disagreement(plain: list[Tensor], seen: list[Tensor], added: dict[str, Tensor]) -> str | None:
    """What is wrong at a layer, or None.

    Args:
        plain, seen: h, h + a and h + a + m of the plain and of the measured pass.
        added: what the hooks reported for attention and MLP.
    """
    for state, component in enumerate(("attention", "mlp")):
        entering = seen[1] if state else plain[0]  # which the layer was given
        if not _is_sum(entering, added[component], seen[state + 1]):
            return f"the residual after {component} is not the one before it plus what {component} adds"
        sizes = [part - plain[0] for part in plain[1 : state + 2]]
        if not _close(seen[state + 1], plain[state + 1], plain[0], sizes):
            return f"the residual after {component} is not that of plain transformers"
    return None


def _is_sum(before: Tensor, added: Tensor, after: Tensor) -> bool:
    """Whether before + added = after, rounded as in the model; the last digit may differ."""
    epsilon = torch.finfo(before.dtype).eps
    before = before.to(after.device)
    return bool(((before + added - after).abs() <= epsilon * (before.abs() + added.abs())).all())


def _close(seen: Tensor, plain: Tensor, entering: Tensor, added: list[Tensor]) -> bool:
    """Whether two residuals agree, apart from the rounding of the sum and of what was added to it."""
    rounding, tolerance = torch.finfo(seen.dtype).eps, _TOLERANCE[seen.dtype]
    difference = (seen.float() - plain.to(seen.device).float()).norm()
    allowed = rounding * float(entering.float().norm())
    allowed += tolerance * sum(float(part.float().norm()) for part in added)
    return bool(difference <= allowed)  # False for nan


def _message(model: Model, layer: int, problem: str) -> str:
    return (
        f"{model.source} cannot be measured: at layer {layer} {problem}. "
        "Report it with the config.json of the model and the release of transformers."
    )
