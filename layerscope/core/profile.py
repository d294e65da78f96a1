"""`profile_texts()`: texts in, numbers a text out; the straight line through the rooms."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.core.attention.kernels import KERNELS
from layerscope.core.attention.packed import loop, packed
from layerscope.core.batching import Encoded, buffers, encode, pack
from layerscope.core.contribution import SUMS, batch_finite, batch_metrics, compiled_sums, token_sums
from layerscope.core.hooks import contributions
from layerscope.core.loading.checkpoint import Model, blocks
from layerscope.core.loading.process_setup import HEAP_BLOCK
from layerscope.core.transfer import Arrival, download, upload
from layerscope.names import COMPONENTS, METRICS, SCOPES

# Tokens a row, at least and at most. On a CPU speed is flat from 512 to 2,048 tokens while a row's largest
# activation fits the heap; a GPU needs rows whose layers take longer than their launches.
_CPU_BUDGET, _CUDA_BUDGET = (512, 2_048), (16_384, 65_536)
_CUDA_LAYER = 10**12  # multiplications a layer
_CUDA_AHEAD = 1  # rows launched before the numbers of the one before are read

T = TypeVar("T")
Array = NDArray[np.float64]
Measure = Callable[[Sequence[Encoded]], Tensor]  # a row of B texts → (B, K) float64, on the model's device

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextProfile:
    """What was measured of one text.

    `tokens`: those that counted, special tokens included; of a failed text its token count where known, else
    0. `values`: float64 (component, scope, layer, metric), in the order of COMPONENTS (the chosen ones),
    SCOPES and METRICS; nan = no value. All nan where `error` (a sentence) is not None.
    """

    ordinal: int
    tokens: int
    truncated: bool
    error: str | None
    values: Array


def profile_texts(
    model: Model,
    texts: Iterable[str],
    max_tokens: int | None = None,
    overflow: str = "truncate",
    components: Sequence[str] = COMPONENTS,
    *,
    window: int | None = None,
    token_budget: int | None = None,
) -> Iterator[TextProfile]:
    """Profiles texts as they come; a text that cannot be profiled comes back with its error, alone.

    Args:
        texts: read lazily, a bounded window ahead; may be endless.
        max_tokens: the most tokens a text may have, 1 to the model's limit; None: the model's limit.
        overflow: what happens to a longer text: "truncate" (its first tokens count) or "fail".
        components: which of COMPONENTS to measure; measured in that order whatever the order here.
        window: the first tokens that alone count of every text, ≥ 1, so that all have one length; a text with
            fewer fails. None: no such length.
        token_budget: tokens a forward pass; None: `default_budget`. Changes speed and memory, no numbers.
    Yields: one TextProfile a text, in ordinal order.
    Raises: ValueError, at once, for an argument out of range.
    """
    encoded = encode_all(model, texts, max_tokens, overflow, window)
    if not components or set(components) - set(COMPONENTS):
        raise ValueError(f"components must be some of {', '.join(COMPONENTS)}, not {components!r}")
    if token_budget is not None and token_budget < 1:
        raise ValueError(f"token_budget must be at least 1, not {token_budget}")
    budget = token_budget or default_budget(model)
    chosen = tuple(name for name in COMPONENTS if name in components)
    measure = partial(_batch_numbers, model, chosen)
    return in_batches(model, encoded, budget, measure, partial(_text_profile, model, chosen))


def encode_all(
    model: Model, texts: Iterable[str], max_tokens: int | None, overflow: str, window: int | None = None
) -> Iterator[Encoded]:
    """Tokenises texts as they are asked for; the arguments are those of `profile_texts`.

    Raises: ValueError, at once, for an argument out of range.
    """
    limit = model.max_tokens if max_tokens is None else max_tokens
    if isinstance(texts, str):
        raise ValueError("texts must be a list of texts or another iterable, not one string")
    if type(limit) is not int or not 1 <= limit <= model.max_tokens:
        raise ValueError(
            f"max_tokens must be a whole number from 1 to the model's {model.max_tokens}, not {limit!r}"
        )
    if overflow not in ("truncate", "fail"):
        raise ValueError(f"overflow must be 'truncate' or 'fail', not {overflow!r}")
    if window is not None and (type(window) is not int or window < 1):
        raise ValueError(f"window must be a whole number of at least 1, not {window!r}")
    vocabulary = model.module.config.vocab_size
    return (
        encode(model.tokenizer, i, text, limit, overflow, vocabulary, window) for i, text in enumerate(texts)
    )


def default_budget(model: Model) -> int:
    """Tokens a forward pass: docs/scaling.md, "The token budget"."""
    config = model.module.config
    if model.device == "cpu":
        least, most = _CPU_BUDGET
        widest = 4 * config.intermediate_size  # bytes a token, at most
        return min(most, max(least, HEAP_BLOCK // widest))
    least, most = _CUDA_BUDGET
    weights = sum(part.numel() for part in blocks(model.module)[0].layer.parameters())
    return min(most, max(least, _CUDA_LAYER // weights))


@dataclass(frozen=True)
class _Flight:
    """A row that was launched; or texts that failed, which have no numbers."""

    texts: Sequence[Encoded]
    numbers: Arrival | None  # (B, K) float64


def in_batches(
    model: Model,
    texts: Iterable[Encoded],
    budget: int,
    measure: Measure,
    finish: Callable[[Encoded, Array | None], T],
) -> Iterator[T]:
    """Packs texts into rows, measures each, and yields in ordinal order, though rows are filled in another.

    Args:
        budget: tokens a row; see `pack`.
        finish: what is made of a text and its (K,) numbers; of a failed text and None.
    """
    done: dict[int, T] = {}
    following = 0
    batches_ahead = 0 if model.device == "cpu" else _CUDA_AHEAD
    for flight in ahead(_flights(model, texts, budget, measure), batches_ahead):
        numbers = [None] * len(flight.texts) if flight.numbers is None else flight.numbers.wait().numpy()
        for text, found in zip(flight.texts, numbers, strict=True):
            done[text.ordinal] = finish(text, found)
        while following in done:
            yield done.pop(following)
            following += 1


def ahead(flights: Iterable[_Flight], count: int) -> Iterator[_Flight]:
    """The same in the same order, each after `count` more were launched: while a GPU works on one row, the
    next is tokenised, uploaded and launched."""
    launched: deque[_Flight] = deque()
    for flight in flights:
        launched.append(flight)
        if len(launched) > count:
            yield launched.popleft()
    yield from launched


def _flights(model: Model, texts: Iterable[Encoded], budget: int, measure: Measure) -> Iterator[_Flight]:
    for window in buffers(texts, budget):
        if failed := [text for text in window if text.error is not None]:
            yield _Flight(failed, None)
        for row in pack(window, budget):
            yield from _launch(model, row, measure)


def _launch(model: Model, row: Sequence[Encoded], measure: Measure) -> list[_Flight]:
    """A row; where memory runs out its halves, down to one text: only the one too long fails."""
    try:
        return [_launch_batch(row, measure)]
    except torch.OutOfMemoryError:
        if len(row) == 1:
            size = f"the text's {row[0].tokens} tokens do not fit in the memory of {model.device}"
            return [_Flight([replace(row[0], error=f"{size}; set max_tokens")], None)]
    tokens, half = sum(text.tokens for text in row), len(row) // 2
    log.warning("a row of %d tokens does not fit in the memory of %s: halved", tokens, model.device)
    return [flight for part in (row[:half], row[half:]) for flight in _launch(model, part, measure)]


@torch.inference_mode()
def _launch_batch(row: Sequence[Encoded], measure: Measure) -> _Flight:
    return _Flight(row, download(measure(row)))


def _batch_numbers(model: Model, components: tuple[str, ...], row: Sequence[Encoded]) -> Tensor:
    """(B, C · S · L · M + L) float64: a text's values, and whether a layer's are finite."""
    lengths = [text.tokens for text in row]
    sums = _batch_sums(model, row, components)
    values = batch_metrics(sums, lengths, model.hidden_size).flatten(1)
    return torch.cat([values, batch_finite(sums, lengths)], 1)


def _text_profile(
    model: Model, components: tuple[str, ...], text: Encoded, numbers: Array | None
) -> TextProfile:
    shape = len(components), len(SCOPES), model.layers, len(METRICS)
    error = text.error
    if numbers is not None:
        values, finite = np.split(numbers, [-model.layers])
        if finite.all():
            return TextProfile(text.ordinal, text.tokens, text.truncated, None, values.reshape(shape).copy())
        error = non_finite(model, f"the activations at layer {int(finite.argmin())} are")
    return TextProfile(text.ordinal, text.tokens, text.truncated, error, np.full(shape, np.nan))


def _batch_sums(model: Model, row: Sequence[Encoded], components: tuple[str, ...]) -> Tensor:
    """One forward pass over a packed row; everything stays on the device.

    Returns: (C, L, 7, N) float32, `token_sums` of the row's N tokens.
    """
    lengths = tuple(text.tokens for text in row)
    ids, positions = batch_inputs(model, row)
    sums = torch.empty(len(components), model.layers, SUMS, ids.shape[1], device=model.device)
    reduce = compiled_sums() if model.reduction == "compiled" else token_sums

    def record(layer: int, component: str, residual: Tensor, *parts: Tensor, after: bool = False) -> None:
        found = reduce(residual, *parts, after=after)  # (7, N)
        sums[components.index(component), layer].copy_(found, non_blocking=True)

    with _uncompiled(model), packed(model.module), contributions(blocks(model.module), components, record):
        kernel = KERNELS.get(model.attention, loop)
        model.module(
            input_ids=ids, position_ids=positions, use_cache=False, text_lengths=lengths, kernel=kernel
        )
    return sums


def _uncompiled(model: Model) -> AbstractContextManager[Any]:
    """Inside, nothing is compiled any more: a shape that was not foreseen is reduced eagerly."""
    if model.reduction == "eager":
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("eager_on_recompile")
    return stance


def batch_inputs(model: Model, row: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Token ids and positions of a packed row, (1, N) int64 each."""
    ids = upload([token for text in row for token in text.ids], model.device)
    # Positions start anew in every text. Rotary attention sees only their differences, but large angles are
    # inexact: without this a text's last digits would depend on where in the row it lies.
    positions = upload([place for text in row for place in range(text.tokens)], model.device)
    return ids[None], positions[None]


def non_finite(model: Model, what: str) -> str:
    """The sentence for `what`, a subject with its verb."""
    cure = "; load the model as bfloat16 or float32" if model.dtype == "float16" else ""
    return f"{what} not finite in {model.dtype}{cure}"
