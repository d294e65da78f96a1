"""The numbers of one packed batch for all analyses.

One pass over the batch keeps the residuals between all layers. The logit lens reads each of them. Skipping
layer ℓ starts from the residual that entered layer ℓ.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.core.analysis.ablation import skip_each, token_costs
from layerscope.core.analysis.distribution import log_probabilities, slices
from layerscope.core.analysis.largest_activations import largest
from layerscope.core.analysis.logit_lens import token_readings
from layerscope.core.attention.packed import packed
from layerscope.core.batching import Encoded
from layerscope.core.loading.process_setup import HEAP_BLOCK
from layerscope.core.model import Model
from layerscope.core.pipeline import BatchNumbers, batch_inputs, forward
from layerscope.core.types import RunLayer
from layerscope.names import ANALYSIS_METRICS, Analysis

Check = Callable[[], None]

# Bytes of the distribution of a slice of tokens; a few of them exist at a time. On a CPU: less than the
# blocks that the heap returns to the operating system. On a GPU: some hundred tokens, so that the product
# takes longer than reading the weights of the head.
_SLICE = {"cpu": HEAP_BLOCK - 2**12, "cuda": 256 * 2**20}
_LENS = slice(ANALYSIS_METRICS.index("lens_entropy"), None)
_COSTS = slice(ANALYSIS_METRICS.index("lens_entropy"))


def batch_numbers(
    model: Model, head: nn.Linear | None, analyses: frozenset[str], check: Check, batch: Sequence[Encoded]
) -> BatchNumbers:
    """Of each text L · (5 + 13) numbers: the ANALYSIS_METRICS and the result of `largest` of each layer."""
    lengths = [text.tokens for text in batch]
    with packed(model.module):
        states, run = _residuals(model, batch, check)
        top = [
            torch.stack([largest(text) for text in torch.split(state[0], lengths)]) for state in states[1:]
        ]
        activations = torch.stack([layer.to(model.device) for layer in top], 1)  # (B, L, 13)
        ids = batch_inputs(model, batch)[0][0]
        values = _token_values(model, head, analyses, ids, states, run, check)
    numbers = torch.cat([_text_means(values, lengths), activations], -1).flatten(1)
    return BatchNumbers(numbers, torch.empty(sum(lengths), 0))


def _residuals(model: Model, batch: Sequence[Encoded], check: Check) -> tuple[list[Tensor], RunLayer]:
    """The residuals between all layers, L + 1 of (1, N, D), and a function that runs one layer again.

    The model itself computes the first residual and what every layer needs besides it (positions, window);
    each family does so differently. `run` needs the context `packed`.
    """
    layers = model.module.layers
    states: list[Tensor] = []
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def enter(_layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        check()
        states.append(args[0])
        calls.append((args[1:], named))

    def leave(_layer: nn.Module, _args: Any, output: Tensor) -> None:
        states.append(output)

    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(enter, with_kwargs=True))
        hooks.enter_context(layers[-1].register_forward_hook(leave))
        forward(model, batch)

    def run(layer: int, residual: Tensor) -> Tensor:
        check()
        args, named = calls[layer]
        after: Tensor = layers[layer](residual, *args, **named)
        return after

    return states, run


def _token_values(
    model: Model,
    head: nn.Linear | None,
    analyses: frozenset[str],
    ids: Tensor,
    states: list[Tensor],
    run: RunLayer,
    check: Check,
) -> Tensor:
    """(N, L, 5) float64, the values of each token, nan for analyses that are not selected; consumes
    `states`."""
    shape = len(ids), model.layers, len(ANALYSIS_METRICS)
    values = torch.full(shape, torch.nan, dtype=torch.float64, device=model.device)
    if head is not None and Analysis.LOGIT_LENS in analyses:
        for at, layer, final, lens in _distributions(model, head, states[-1], states[1:], check):
            values[at, layer, _LENS] = token_readings(final, lens)
    if head is not None and Analysis.ABLATION in analyses:
        following = ids.roll(-1)  # wrong for the last token of a text; `_text_means` leaves that token out
        last = states.pop()
        skip_each(states, run)
        for at, layer, full, ablated in _distributions(model, head, last, states, check):
            values[at, layer, _COSTS] = token_costs(full, ablated, following[at])
    return values


def _distributions(
    model: Model, head: nn.Linear, last: Tensor, others: Sequence[Tensor], check: Check
) -> Iterator[tuple[slice, int, Tensor, Tensor]]:
    """For each slice of tokens and each other residual: the next-token distributions of `last` and of it."""
    read = partial(log_probabilities, norm=model.module.norm, head=head)
    for at in slices(last.shape[1], head.out_features, _SLICE[last.device.type]):
        reference = read(last[0, at])
        for layer, other in enumerate(others):
            check()
            yield at, layer, reference, read(other[0, at])


def _text_means(values: Tensor, lengths: list[int]) -> Tensor:
    """(N, L, 5) → (B, L, 5), means over the tokens that have the metric.

    No token follows the last one of a text, so a text has T − 1 ablation values; the mean of none is nan.
    """
    return torch.stack(
        [
            torch.cat([text[:-1, :, _COSTS].mean(0), text[:, :, _LENS].mean(0)], -1)
            for text in torch.split(values, lengths)
        ]
    )
