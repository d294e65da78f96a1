"""From texts to results: tokenise, pack into batches, run the model, return the results in ordinal order.

`profile_texts` and `analyse_texts` share these functions and differ in what they measure of a batch.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.arrays import Array
from layerscope.core.attention.kernels import KERNELS
from layerscope.core.attention.packed import run_packed
from layerscope.core.attention.rotary import rotary_embedding
from layerscope.core.batching import Encoded, buffers, encode, pack
from layerscope.core.loading.process_setup import HEAP_BLOCK
from layerscope.core.model import Model, blocks
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.core.transfer import Download, download, upload
from layerscope.names import COMPONENTS, Overflow, SpecialTokens

# The smallest and largest default budget in tokens per batch. On a CPU the speed is constant from 512 to
# 2,048 tokens if the largest activation of a batch fits in the heap. A GPU needs batches whose layers take
# longer than their kernel launches.
_CPU_BUDGET, _CUDA_BUDGET = (512, 2_048), (32_768, 65_536)
_CUDA_LAYER = 10**12  # multiplications per layer
_CUDA_AHEAD = 1  # batches that are launched before the results of the previous one are read

T = TypeVar("T")


@dataclass(frozen=True)
class BatchNumbers:
    """What was measured of a batch of B texts with N tokens, on the device of the model."""

    of_texts: Tensor  # (B, K) float64
    of_tokens: Tensor  # (N, …)


@dataclass(frozen=True)
class TextNumbers:
    """What was measured of a text of T tokens."""

    of_text: Array  # (K,) float64
    of_tokens: NDArray[Any]  # (T, …)


Measure = Callable[[Sequence[Encoded]], BatchNumbers]

log = logging.getLogger(__name__)


def encode_all(
    model: Model,
    texts: Iterable[TextInput],
    max_tokens: int | None = None,
    overflow: str = "truncate",
    window: int | None = None,
    special_tokens: str = "literal",
) -> Iterator[Encoded]:
    """Tokenises texts lazily; the arguments are those of `profile_texts`.

    Raises: ValueError, immediately, for an argument out of range.
    """
    limit = model.max_tokens if max_tokens is None else max_tokens
    if isinstance(texts, str):
        raise ValueError("texts must be a list of texts or another iterable, not one string")
    if type(limit) is not int or not 1 <= limit <= model.max_tokens:
        raise ValueError(
            f"max_tokens must be a whole number from 1 to the model's {model.max_tokens}, not {limit!r}"
        )
    if overflow not in tuple(Overflow):
        raise ValueError(f"overflow must be 'truncate' or 'fail', not {overflow!r}")
    if window is not None and (type(window) is not int or window < 1):
        raise ValueError(f"window must be a whole number of at least 1, not {window!r}")
    if special_tokens not in tuple(SpecialTokens):
        raise ValueError(f"special_tokens must be 'literal' or 'parse', not {special_tokens!r}")
    vocabulary = model.module.config.vocab_size
    return (
        encode(model.tokenizer, i, text, limit, overflow, vocabulary, window, special_tokens)
        for i, text in enumerate(texts)
    )


def check_token_budget(budget: int | None) -> None:
    """Raises: ValueError if the budget is below one token."""
    if budget is not None and budget < 1:
        raise ValueError(f"token_budget must be at least 1, not {budget}")


def check_components(components: Sequence[str]) -> tuple[str, ...]:
    """The components in the order of COMPONENTS. Raises: ValueError if there is none, or an unknown one."""
    if not components or set(components) - set(COMPONENTS):
        raise ValueError(f"components must be some of {', '.join(COMPONENTS)}, not {components!r}")
    return tuple(name for name in COMPONENTS if name in components)


def default_budget(model: Model) -> int:
    """Tokens per forward pass: docs/scaling.md, "The token budget"."""
    config = model.module.config
    if model.device == "cpu":
        least, most = _CPU_BUDGET
        widest: int = 4 * config.intermediate_size  # bytes per token of the largest activation
        return min(most, max(least, HEAP_BLOCK // widest))
    least, most = _CUDA_BUDGET
    weights = sum(part.numel() for part in blocks(model.module)[0].layer.parameters())
    return min(most, max(least, _CUDA_LAYER // weights))


@dataclass(frozen=True)
class Launch:
    """A batch that was launched, or texts that failed and have no numbers."""

    texts: Sequence[Encoded]
    of_texts: Download | None  # of `BatchNumbers`
    of_tokens: Download | None

    def numbers(self) -> Iterator[tuple[Encoded, TextNumbers | None]]:
        """Waits for the numbers and returns those of each text."""
        if self.of_texts is None or self.of_tokens is None:
            yield from ((text, None) for text in self.texts)
            return
        of_tokens = torch.split(self.of_tokens.wait(), [text.tokens for text in self.texts])
        for text, numbers, tokens in zip(self.texts, self.of_texts.wait(), of_tokens, strict=True):
            yield text, TextNumbers(numbers.numpy(), tokens.numpy())


def in_batches(
    model: Model,
    texts: Iterable[Encoded],
    budget: int,
    measure: Measure,
    finish: Callable[[Encoded, TextNumbers | None], T],
) -> Iterator[T]:
    """Packs texts into batches, measures each batch, and yields one result per text in ordinal order.

    Args:
        budget: tokens per batch; see `pack`.
        measure: computes the numbers of a batch.
        finish: makes the result of a text from its numbers, or from None if the text failed.
    """
    finished: dict[int, T] = {}  # batches mix the order of the texts
    following = 0
    count = 0 if model.device == "cpu" else _CUDA_AHEAD
    for launch in launch_ahead(_launches(model, texts, budget, measure), count):
        for text, numbers in launch.numbers():
            finished[text.ordinal] = finish(text, numbers)
        while following in finished:
            yield finished.pop(following)
            following += 1


def launch_ahead(launches: Iterable[Launch], count: int) -> Iterator[Launch]:
    """Yields the launches in their order, each after `count` later ones have been made.

    While a GPU works on one batch, the next one is tokenised, uploaded and launched.
    """
    pending: deque[Launch] = deque()
    for launch in launches:
        pending.append(launch)
        if len(pending) > count:
            yield pending.popleft()
    yield from pending


def _launches(model: Model, texts: Iterable[Encoded], budget: int, measure: Measure) -> Iterator[Launch]:
    for buffer in buffers(texts, budget):
        if failed := [text for text in buffer if text.error is not None]:
            yield Launch(failed, None, None)
        for batch in pack(buffer, budget):
            yield from _launch_or_halve(model, batch, measure)


def _launch_or_halve(model: Model, batch: Sequence[Encoded], measure: Measure) -> list[Launch]:
    """Launches a batch. If memory is insufficient, launches its halves, down to single texts; a text fails
    only if it does not fit in memory alone."""
    try:
        return [launch_batch(batch, measure)]
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            reason = f"the {batch[0].tokens} tokens of the text do not fit in the memory of {model.device}"
            return [Launch([replace(batch[0], error=f"{reason}; set a smaller max_tokens")], None, None)]
    tokens, half = sum(text.tokens for text in batch), len(batch) // 2
    log.warning("a batch of %d tokens does not fit in the memory of %s: halved", tokens, model.device)
    return [
        found for part in (batch[:half], batch[half:]) for found in _launch_or_halve(model, part, measure)
    ]


@torch.inference_mode()
def launch_batch(batch: Sequence[Encoded], measure: Measure) -> Launch:
    """Measures a batch and starts the copy of its numbers to the host."""
    measured = measure(batch)
    return Launch(batch, download(measured.of_texts), download(measured.of_tokens))


def batch_inputs(model: Model, batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Token ids and positions of a packed batch, (1, N) int64 each."""
    ids = upload([token for text in batch for token in text.ids], model.device)
    # Positions start at 0 in every text. Rotary attention depends only on their differences, but large angles
    # are inexact; otherwise the last digits of a text would depend on its place in the batch.
    positions = upload([place for text in batch for place in range(text.tokens)], model.device)
    return ids[None], positions[None]


def forward(model: Model, batch: Sequence[Encoded]) -> None:
    """One forward pass over a packed batch, in inference mode; hooks on the model observe it."""
    ids, positions = batch_inputs(model, batch)
    lengths = tuple(text.tokens for text in batch)
    with rotary_embedding(model.module, model.rotary):
        run_packed(model.module, ids, positions, lengths, KERNELS[model.attention])


def non_finite(model: Model, what: str) -> str:
    """The error of a text with a value that is not finite; `what` is a subject with its verb."""
    advice = "; set the dtype of the model to bfloat16 or float32" if model.dtype == "float16" else ""
    return f"{what} not finite in {model.dtype}{advice}"
