"""`analyse_texts()`: how much a layer matters for the predictions, what it adds to each token, and
where its largest activations are.

Both analyses of the predictions end in the language model head, which is half of their cost, and there are
numbers of every token; so analyses are meant for a sample of the texts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerscope.arrays import Array
from layerscope.core.analysis.batch_numbers import Check, Request, batch_numbers
from layerscope.core.batching import Encoded
from layerscope.core.loading.head import load_head
from layerscope.core.model import Model
from layerscope.core.pipeline import (
    TextNumbers,
    check_components,
    check_token_budget,
    encode_all,
    in_batches,
    non_finite,
)
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.names import (
    ANALYSES,
    ANALYSIS_METRICS,
    COMPONENTS,
    METRICS_OF_ANALYSIS,
    PREDICTION_ANALYSES,
    TOKEN_METRICS,
    Analysis,
    Metric,
)
from layerscope.values import split_analysis

# Tokens per batch: the smallest batches that run at full speed, because the residuals of a batch are kept,
# one per layer.
_BUDGET = {"cpu": 512, "cuda": 16_384}


@dataclass(frozen=True)
class Activations:
    """The four units with the largest |h| in the residual that leaves each layer, the largest first."""

    units: NDArray[np.int64]  # (L, 4)
    values: Array  # (L, 4), with their sign, activation units
    tokens: NDArray[np.int64]  # (L, 4), the token of the text at which each occurs, 0 for the first
    ratio: Array  # (L,), the largest |h| divided by the median |h|; nan if the median is 0


@dataclass(frozen=True)
class TokenProfiles:
    """What each component adds to each of the T tokens of a text, and what the logit lens predicts for it."""

    ids: NDArray[np.int64]  # (T,)
    values: NDArray[np.float32]  # (T, C, L, 4): `components`, layers, TOKEN_METRICS; nan = undefined
    # (T, L, 2), LENS_COLUMNS: the rank of the token that follows, 1 for the most probable, nan for the last
    # token; and the id of the most probable token. None without the logit lens.
    predictions: NDArray[np.float32] | None


@dataclass(frozen=True)
class TextAnalysis:
    """How skipping a layer, or stopping after it, changes the next-token predictions for a text.

    `tokens`, `truncated`, `error`: as in TextProfile. `values`: float64 (layer, metric), in the order of
    ANALYSIS_METRICS; nan = no value: an analysis that was not selected, or an ablation of a one-token text.
    If `error` is not None, all values are nan and there are neither `activations` nor `token_profiles`.
    """

    ordinal: int
    tokens: int
    truncated: bool
    error: str | None
    values: Array
    activations: Activations | None
    token_profiles: TokenProfiles | None = None  # only with analysis `tokens`


def analyse_texts(
    model: Model,
    texts: Iterable[TextInput],
    analyses: Sequence[str] = PREDICTION_ANALYSES,
    max_tokens: int | None = None,
    overflow: str = "truncate",
    components: Sequence[str] = COMPONENTS,
    *,
    head: nn.Linear | None = None,
    window: int | None = None,
    special_tokens: str = "literal",
    token_budget: int | None = None,
    check: Check = lambda: None,
) -> Iterator[TextAnalysis]:
    """Analyses texts lazily. A text that cannot be analysed has an `error`; it does not affect the others.

    Args:
        texts, max_tokens, overflow, window, special_tokens: as in `profile_texts`; the same tokens count.
        analyses: some of ANALYSES. The largest activations are always found, also with none of them.
        components: those whose numbers of tokens are returned with analysis `tokens`, in the order of
            COMPONENTS.
        head: the result of `load_head`; None: loaded now if it is needed.
        token_budget: tokens per forward pass; None: 512 on a CPU, 16,384 on a GPU. Changes speed and memory.
        check: called before every layer and before every distribution is computed. An exception that it
            raises ends the analysis; one batch can take minutes.
    Yields: one TextAnalysis per text, in ordinal order.
    Raises: ValueError, immediately, for an argument out of range; ModelError if the model has no head.
    """
    if set(analyses) - set(ANALYSES):
        raise ValueError(f"analyses must be some of {', '.join(ANALYSES)}, not {analyses!r}")
    check_token_budget(token_budget)
    chosen = check_components(components)
    encoded = encode_all(model, texts, max_tokens, overflow, window, special_tokens)
    if head is None and set(analyses) & set(PREDICTION_ANALYSES):
        head = load_head(model)
    request = Request(frozenset(analyses), head, chosen, check)
    budget = token_budget or _BUDGET[torch.device(model.device).type]
    measure = partial(batch_numbers, model, request)
    return in_batches(model, encoded, budget, measure, partial(_text_analysis, model, request))


def _text_analysis(
    model: Model, request: Request, text: Encoded, numbers: TextNumbers | None
) -> TextAnalysis:
    error = text.error
    if numbers is not None:
        values, units, top, tokens, ratio = split_analysis(numbers.of_text.reshape(model.layers, -1))
        profiles = _token_profiles(model, request, text, numbers.of_tokens)
        error = _non_finite(model, request, text, values, top) or _non_finite_tokens(model, profiles)
        if error is None:
            largest = Activations(units.astype(int), top.copy(), tokens.astype(int), ratio[:, 0].copy())
            return TextAnalysis(
                text.ordinal, text.tokens, text.truncated, None, values.copy(), largest, profiles
            )
    nothing = np.full((model.layers, len(ANALYSIS_METRICS)), np.nan)
    return TextAnalysis(text.ordinal, text.tokens, text.truncated, error, nothing, None)


def _token_profiles(
    model: Model, request: Request, text: Encoded, numbers: NDArray[np.float32]
) -> TokenProfiles | None:
    if Analysis.TOKENS not in request:
        return None
    shape = text.tokens, len(request.components), model.layers, len(TOKEN_METRICS)
    values, predictions = np.split(numbers, [prod(shape[1:])], axis=1)
    of_lens = predictions.reshape(text.tokens, model.layers, -1) if predictions.size else None
    return TokenProfiles(np.array(text.ids), values.reshape(shape), of_lens)


def _non_finite(model: Model, request: Request, text: Encoded, values: Array, top: Array) -> str | None:
    """The error of a text whose activations or metrics are not finite; it names the first such layer."""
    finite = np.isfinite(top).all(axis=1)
    if not finite.all():
        return non_finite(model, f"the activations at layer {int(finite.argmin())} are")
    for analysis in PREDICTION_ANALYSES:
        if analysis not in request or (analysis == Analysis.ABLATION and text.tokens == 1):
            continue
        metrics = METRICS_OF_ANALYSIS[analysis]
        finite = np.isfinite(values[:, [ANALYSIS_METRICS.index(metric) for metric in metrics]])
        if not finite.all():
            layer, metric = np.argwhere(~finite)[0]
            return non_finite(model, f"{metrics[metric]} at layer {layer} is")
    return None


def _non_finite_tokens(model: Model, profiles: TokenProfiles | None) -> str | None:
    """The same for the metrics of tokens that every token has, whose squares can exceed float32."""
    if profiles is None:
        return None
    always = [TOKEN_METRICS.index(metric) for metric in (Metric.DELTA_RMS, Metric.RESIDUAL_RMS)]
    finite = np.isfinite(profiles.values[..., always]).all(axis=(0, 1, 3))
    return None if finite.all() else non_finite(model, f"the activations at layer {int(finite.argmin())} are")
