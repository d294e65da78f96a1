"""`analyse_texts()`: does a layer matter for what the model says next, and where are its largest activations?

One pass over a packed row keeps the residual between all layers. The lens reads every one of them; skipping
layer ℓ starts from the one that entered it. Both end in the language model head, which is half of the cost,
so analyses are for a sample of the texts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.core.analysis.ablation import skip_each, token_costs
from layerscope.core.analysis.distribution import log_probabilities, slices
from layerscope.core.analysis.largest_activations import largest
from layerscope.core.analysis.logit_lens import token_readings
from layerscope.core.attention.kernels import KERNELS
from layerscope.core.attention.packed import loop, packed
from layerscope.core.batching import Encoded
from layerscope.core.loading.checkpoint import Model
from layerscope.core.loading.load import load_head
from layerscope.core.loading.process_setup import HEAP_BLOCK
from layerscope.core.profile import Array, batch_inputs, encode_all, in_batches, non_finite
from layerscope.core.types import RunLayer
from layerscope.names import ANALYSIS_METRICS, PREDICTION_ANALYSES
from layerscope.values import split_analysis

# Bytes of a slice's distribution; a few of them exist at a time. On a CPU less than what the heap hands back
# at once; a GPU needs some hundred tokens for a product that takes longer than reading the head's weights.
_SLICE = {"cpu": HEAP_BLOCK - 2**12, "cuda": 256 * 2**20}
# Tokens a row: the fewest that are measured at full speed, since a row's residuals are held, one a layer.
_BUDGET = {"cpu": 512, "cuda": 16_384}
Check = Callable[[], None]
_LENS = slice(ANALYSIS_METRICS.index("lens_entropy"), None)
_COSTS = slice(ANALYSIS_METRICS.index("lens_entropy"))


@dataclass(frozen=True)
class Activations:
    """The four units with the largest |h| in the residual that leaves each layer, largest first."""

    units: NDArray[np.int64]  # (L, 4)
    values: Array  # (L, 4), with their sign, activation units
    tokens: NDArray[np.int64]  # (L, 4), the token of the text that each stands on, 0 for the first
    ratio: Array  # (L,), the largest to the median |h|; nan where the median is 0


@dataclass(frozen=True)
class TextAnalysis:
    """What skipping a layer, or stopping after it, does to a text's next-token predictions.

    `tokens`, `truncated`, `error`: as in TextProfile. `values`: float64 (layer, metric), in the order of
    ANALYSIS_METRICS; nan = no value: an analysis that was not asked for, an ablation of a one-token text.
    Where `error` is not None all are nan and there are no `activations`.
    """

    ordinal: int
    tokens: int
    truncated: bool
    error: str | None
    values: Array
    activations: Activations | None


def analyse_texts(
    model: Model,
    texts: Iterable[str],
    analyses: Sequence[str] = PREDICTION_ANALYSES,
    max_tokens: int | None = None,
    overflow: str = "truncate",
    *,
    head: nn.Linear | None = None,
    window: int | None = None,
    token_budget: int | None = None,
    check: Check = lambda: None,
) -> Iterator[TextAnalysis]:
    """Analyses texts as they come; one that cannot be analysed comes back with its error, alone.

    Args:
        texts, max_tokens, overflow, window: as in `profile_texts`, and so are the tokens that count.
        analyses: which of PREDICTION_ANALYSES; none: the activations alone, which every text comes with.
        head: what `load_head` gave; None: loaded now, if it is needed.
        token_budget: tokens a forward pass; None: 512 on a CPU, 16,384 on a GPU. Changes speed and memory.
        check: called before every layer and every reading of a distribution; what it raises ends the
            analysis, of which a single row can take minutes.
    Yields: one TextAnalysis a text, in ordinal order.
    Raises: ValueError, at once, for an argument out of range; ModelError if there is no head.
    """
    if set(analyses) - set(PREDICTION_ANALYSES):
        raise ValueError(f"analyses must be some of {', '.join(PREDICTION_ANALYSES)}, not {analyses!r}")
    if token_budget is not None and token_budget < 1:
        raise ValueError(f"token_budget must be at least 1, not {token_budget}")
    encoded = encode_all(model, texts, max_tokens, overflow, window)
    if analyses and head is None:
        head = load_head(model)
    budget = token_budget or _BUDGET[torch.device(model.device).type]
    measure = partial(_batch_numbers, model, head, frozenset(analyses), check)
    return in_batches(model, encoded, budget, measure, partial(_text_analysis, model, frozenset(analyses)))


def _batch_numbers(
    model: Model, head: nn.Linear | None, analyses: frozenset[str], check: Check, row: Sequence[Encoded]
) -> Tensor:
    """(B, L · (5 + 13)) float64: of each text and layer its metrics, and what `largest` gives."""
    lengths = [text.tokens for text in row]
    ids, positions = batch_inputs(model, row)
    with packed(model.module):
        embedded, run = _layers(model, ids, positions, tuple(lengths), check)
        states = [embedded]
        for layer in range(model.layers):
            states.append(run(layer, states[-1]))
        top = [
            torch.stack([largest(text) for text in torch.split(state[0], lengths)]) for state in states[1:]
        ]
        found = torch.stack([layer.to(model.device) for layer in top], 1)  # (B, L, 13)
        values = _token_values(model, head, analyses, ids, states, run, check)
    return torch.cat([_text_means(values, lengths), found], -1).flatten(1)


def _layers(
    model: Model, ids: Tensor, positions: Tensor, lengths: tuple[int, ...], check: Check
) -> tuple[Tensor, RunLayer]:
    """The residual that enters layer 0, (1, N, D), and how to run a layer; what LlamaModel itself does."""
    module: Any = model.module
    embedded = module.embed_tokens(ids)
    rotary = module.rotary_emb(embedded, position_ids=positions)
    kernel = KERNELS.get(model.attention, loop)

    def run(layer: int, residual: Tensor) -> Tensor:
        check()
        after: Tensor = module.layers[layer](
            residual,
            attention_mask=None,
            position_ids=positions,
            position_embeddings=rotary,
            use_cache=False,
            text_lengths=lengths,
            kernel=kernel,
        )
        return after

    return embedded, run


def _token_values(
    model: Model,
    head: nn.Linear | None,
    analyses: frozenset[str],
    ids: Tensor,
    states: list[Tensor],
    run: RunLayer,
    check: Check,
) -> Tensor:
    """(N, L, 5) float64, each token's part in the metrics, nan where not asked for; uses up the states."""
    shape = ids.shape[1], model.layers, len(ANALYSIS_METRICS)
    values = torch.full(shape, torch.nan, dtype=torch.float64, device=model.device)
    if head is not None and "logit_lens" in analyses:
        for at, layer, final, lens in _distributions(model, head, states[-1], states[1:], check):
            values[at, layer, _LENS] = token_readings(final, lens)
    if head is not None and "ablation" in analyses:
        following = ids[0].roll(-1)  # of a text's last token another text's first, which `_text_means` drops
        last = states.pop()
        skip_each(states, run)
        for at, layer, full, ablated in _distributions(model, head, last, states, check):
            values[at, layer, _COSTS] = token_costs(full, ablated, following[at])
    return values


def _distributions(
    model: Model, head: nn.Linear, last: Tensor, others: Sequence[Tensor], check: Check
) -> Iterator[tuple[slice, int, Tensor, Tensor]]:
    """Slice by slice, the next-token distribution of the last residual beside that of each other one."""
    read = partial(log_probabilities, norm=model.module.norm, head=head)
    for at in slices(last.shape[1], head.out_features, _SLICE[last.device.type]):
        reference = read(last[0, at])
        for layer, other in enumerate(others):
            check()
            yield at, layer, reference, read(other[0, at])


def _text_means(values: Tensor, lengths: list[int]) -> Tensor:
    """(N, L, 5) → (B, L, 5), over the tokens that have a metric: nothing follows the last token of a text, so
    skipping a layer has T − 1 of them; the mean of none is nan."""
    return torch.stack(
        [
            torch.cat([text[:-1, :, _COSTS].mean(0), text[:, :, _LENS].mean(0)], -1)
            for text in torch.split(values, lengths)
        ]
    )


def _text_analysis(
    model: Model, analyses: frozenset[str], text: Encoded, numbers: Array | None
) -> TextAnalysis:
    error = text.error
    if numbers is not None:
        values, units, top, tokens, ratio = split_analysis(numbers.reshape(model.layers, -1))
        error = _non_finite(model, analyses, text, values, top)
        if error is None:
            whole = Activations(units.astype(int), top.copy(), tokens.astype(int), ratio[:, 0].copy())
            return TextAnalysis(text.ordinal, text.tokens, text.truncated, None, values.copy(), whole)
    nothing = np.full((model.layers, len(ANALYSIS_METRICS)), np.nan)
    return TextAnalysis(text.ordinal, text.tokens, text.truncated, error, nothing, None)


def _non_finite(
    model: Model, analyses: frozenset[str], text: Encoded, values: Array, top: Array
) -> str | None:
    """The first layer after which the model leaves the finite numbers; else the first metric that does."""
    finite = np.isfinite(top).all(axis=1)
    if not finite.all():
        return non_finite(model, f"the activations at layer {int(finite.argmin())} are")
    measured = (_COSTS, "ablation" in analyses and text.tokens > 1), (_LENS, "logit_lens" in analyses)
    for metrics, there in measured:
        finite = np.isfinite(values[:, metrics])
        if there and not finite.all():
            layer, metric = np.argwhere(~finite)[0]
            return non_finite(model, f"{ANALYSIS_METRICS[metrics][metric]} at layer {layer} is")
    return None
