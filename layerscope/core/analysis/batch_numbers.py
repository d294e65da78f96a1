"""The numbers of one packed batch for all analyses.

One pass over the batch keeps the residuals between all layers. The logit lens reads each of them. Skipping
layer ℓ starts from the residual that entered layer ℓ.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.core.analysis.ablation import skip_each, token_costs
from layerscope.core.analysis.distribution import log_probabilities, slices
from layerscope.core.analysis.largest_activations import largest
from layerscope.core.analysis.logit_lens import token_predictions, token_readings
from layerscope.core.analysis.token_metrics import token_metrics
from layerscope.core.attention.packed import packed
from layerscope.core.attention.rotary import rotary_embedding
from layerscope.core.batching import Encoded
from layerscope.core.loading.process_setup import HEAP_BLOCK
from layerscope.core.model import Model
from layerscope.core.pipeline import BatchNumbers, batch_inputs, forward
from layerscope.core.sums.recorder import batch_sums
from layerscope.core.transfer import upload
from layerscope.core.types import RunLayer
from layerscope.names import ANALYSIS_METRICS, LENS_COLUMNS, Analysis

Check = Callable[[], None]

# Bytes of the distribution of a slice of tokens; a few of them exist at a time. On a CPU: less than the
# blocks that the heap returns to the operating system. On a GPU: some hundred tokens, so that the product
# takes longer than reading the weights of the head.
_SLICE = {"cpu": HEAP_BLOCK - 2**12, "cuda": 256 * 2**20}
# The numbers of a token and layer: the ANALYSIS_METRICS, and then the LENS_COLUMNS.
_COSTS = slice(ANALYSIS_METRICS.index("lens_entropy"))
_LENS = slice(_COSTS.stop, len(ANALYSIS_METRICS))
_PREDICTIONS = slice(_LENS.stop, _LENS.stop + len(LENS_COLUMNS))


@dataclass(frozen=True)
class Request:
    """What is measured of every batch."""

    analyses: frozenset[str]
    head: nn.Linear | None  # None if no analysis needs predictions
    components: tuple[str, ...]  # whose metrics of tokens are measured
    check: Check

    def __contains__(self, analysis: str) -> bool:
        return analysis in self.analyses


def batch_numbers(model: Model, request: Request, batch: Sequence[Encoded]) -> BatchNumbers:
    """Of each text L · (5 + 13) float64: the ANALYSIS_METRICS and the result of `largest` of each layer.

    Of each token float32 numbers, if analysis `tokens` was requested: the C · L · 4 of `token_metrics`, and
    the L · 2 of `token_predictions` if the logit lens was requested too (ids up to 2²⁴ are exact).
    """
    lengths = [text.tokens for text in batch]
    with packed(model.module), rotary_embedding(model.module, model.rotary):
        with _sums(model, request, sum(lengths)) as sums:
            states, run = _residuals(model, batch, request.check)
        top = [
            torch.stack([largest(text) for text in torch.split(state[0], lengths)]) for state in states[1:]
        ]
        activations = torch.stack([layer.to(model.device) for layer in top], 1)  # (B, L, 13)
        ids = batch_inputs(model, batch)[0][0]
        values = _token_values(model, request, ids, states, run)
    numbers = torch.cat([_text_means(values, lengths), activations], -1).flatten(1)
    return BatchNumbers(numbers, _of_tokens(model, request, sums, values, lengths))


def _sums(model: Model, request: Request, tokens: int) -> AbstractContextManager[Tensor | None]:
    """The `token_sums` of the following forward pass, if analysis `tokens` needs them."""
    wanted = Analysis.TOKENS in request
    return batch_sums(model, request.components, tokens) if wanted else nullcontext()


def _of_tokens(
    model: Model, request: Request, sums: Tensor | None, values: Tensor, lengths: list[int]
) -> Tensor:
    """(N, K) float32; K is 0 without analysis `tokens`."""
    if sums is None:
        return torch.empty(len(values), 0)
    metrics = token_metrics(sums, model.hidden_size).flatten(1)
    if Analysis.LOGIT_LENS not in request:
        return metrics
    predictions = values[..., _PREDICTIONS].float()
    last = upload([end - 1 for end in accumulate(lengths)], model.device)
    predictions[last, :, LENS_COLUMNS.index("lens_rank")] = torch.nan  # no token follows
    return torch.cat([metrics, predictions.flatten(1)], 1)


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


def _token_values(model: Model, request: Request, ids: Tensor, states: list[Tensor], run: RunLayer) -> Tensor:
    """(N, L, 5 + 2) float64, the values and predictions of each token, nan for analyses that were not
    requested; consumes `states`."""
    shape = len(ids), model.layers, _PREDICTIONS.stop
    values = torch.full(shape, torch.nan, dtype=torch.float64, device=model.device)
    following = ids.roll(-1)  # wrong for the last token of a text, which is left out later
    if Analysis.LOGIT_LENS in request:
        for at, layer, final, lens in _distributions(model, request, states[-1], states[1:]):
            values[at, layer, _LENS] = token_readings(final, lens)
            if Analysis.TOKENS in request:
                values[at, layer, _PREDICTIONS] = token_predictions(lens, following[at])
    if Analysis.ABLATION in request:
        last = states.pop()
        skip_each(states, run)
        for at, layer, full, ablated in _distributions(model, request, last, states):
            values[at, layer, _COSTS] = token_costs(full, ablated, following[at])
    return values


def _distributions(
    model: Model, request: Request, last: Tensor, others: Sequence[Tensor]
) -> Iterator[tuple[slice, int, Tensor, Tensor]]:
    """For each slice of tokens and each other residual: the next-token distributions of `last` and of it."""
    head = request.head
    assert head is not None
    read = partial(log_probabilities, norm=model.module.norm, head=head)
    for at in slices(last.shape[1], head.out_features, _SLICE[last.device.type]):
        reference = read(last[0, at])
        for layer, other in enumerate(others):
            request.check()
            yield at, layer, reference, read(other[0, at])


def _text_means(values: Tensor, lengths: list[int]) -> Tensor:
    """(N, L, 5 + 2) → (B, L, 5), means over the tokens that have the metric.

    No token follows the last one of a text, so a text has T − 1 ablation values; the mean of none is nan.
    """
    return torch.stack(
        [
            torch.cat([text[:-1, :, _COSTS].mean(0), text[:, :, _LENS].mean(0)], -1)
            for text in torch.split(values, lengths)
        ]
    )
