"""`profile_texts()`: texts in, numbers a text out; the straight line through the rooms."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.core.attention import packed
from worker.core.batching import Encoded, encode, pack, windows
from worker.core.contribution import SUMS, finite_layers, text_metrics, token_sums
from worker.core.hooks import contributions
from worker.core.model import Model, blocks
from worker.core.vocabulary import COMPONENTS, METRICS, SCOPES

# Tokens a row. On a CPU speed is flat from 512 to 2,048, so the least memory that is safely flat; a GPU needs
# more to hide its launches.
_CPU_BUDGET, _CUDA_BUDGET = 2_048, 16_384


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
    values: NDArray[np.float64]


def profile_texts(
    model: Model,
    texts: Iterable[str],
    max_tokens: int | None = None,
    overflow: str = "truncate",
    components: Sequence[str] = COMPONENTS,
    *,
    token_budget: int | None = None,
) -> Iterator[TextProfile]:
    """Profiles texts as they come; a text that cannot be profiled comes back with its error, alone.

    Args:
        texts: read lazily, a bounded window ahead; may be endless.
        max_tokens: the most tokens a text may have, 1 to the model's limit; None: the model's limit.
        overflow: what happens to a longer text: "truncate" (its first tokens count) or "fail".
        components: which of COMPONENTS to measure; measured in that order whatever the order here.
        token_budget: tokens a forward pass; None: by device. Changes speed and memory, not the numbers.
    Yields: one TextProfile a text, in ordinal order.
    Raises: ValueError, at once, for an argument out of range.
    """
    limit = model.max_tokens if max_tokens is None else max_tokens
    if not 1 <= limit <= model.max_tokens:
        raise ValueError(
            f"max_tokens must be between 1 and the model's limit of {model.max_tokens}, not {limit}"
        )
    if overflow not in ("truncate", "fail"):
        raise ValueError(f"overflow must be 'truncate' or 'fail', not {overflow!r}")
    if not components or set(components) - set(COMPONENTS):
        raise ValueError(f"components must be some of {', '.join(COMPONENTS)}, not {components!r}")
    budget = token_budget or (_CUDA_BUDGET if model.device.startswith("cuda") else _CPU_BUDGET)
    chosen = tuple(name for name in COMPONENTS if name in components)
    vocabulary = model.module.config.vocab_size
    encoded = (encode(model.tokenizer, i, text, limit, overflow, vocabulary) for i, text in enumerate(texts))
    return _profiles(model, encoded, chosen, budget)


def _profiles(
    model: Model, texts: Iterable[Encoded], components: tuple[str, ...], budget: int
) -> Iterator[TextProfile]:
    for window in windows(texts, budget):
        measured: dict[int, TextProfile] = {}
        for row in pack(window, budget):
            measured.update((text.ordinal, text) for text in _measure(model, row, components))
        for text in window:
            if text.error is None:
                yield measured[text.ordinal]
            else:
                yield _failed(model, text, components, text.error)


def _measure(model: Model, row: Sequence[Encoded], components: tuple[str, ...]) -> list[TextProfile]:
    """A row's profiles; where memory runs out, its texts one at a time: only the one too long fails."""
    try:
        return _measure_row(model, row, components)
    except torch.OutOfMemoryError:
        if len(row) == 1:
            size = f"the text's {row[0].tokens} tokens do not fit in the memory of {model.device}"
            return [_failed(model, row[0], components, f"{size}; set max_tokens")]
    return [profile for text in row for profile in _measure(model, [text], components)]


@torch.inference_mode()
def _measure_row(model: Model, row: Sequence[Encoded], components: tuple[str, ...]) -> list[TextProfile]:
    lengths = [text.tokens for text in row]
    parts = torch.split(_row_sums(model, row, components), lengths, dim=-1)  # (C, L, 7, T) a text
    values = torch.stack([text_metrics(part, model.hidden_size) for part in parts]).cpu().numpy()
    finite = torch.stack([finite_layers(part) for part in parts]).cpu().numpy()
    return [
        TextProfile(text.ordinal, text.tokens, text.truncated, None, values[i].copy())
        if finite[i].all()
        else _failed(model, text, components, _non_finite(model, int(finite[i].argmin())))
        for i, text in enumerate(row)
    ]


def _row_sums(model: Model, row: Sequence[Encoded], components: tuple[str, ...]) -> Tensor:
    """One forward pass over a packed row; everything stays on the device.

    Returns: (C, L, 7, N) float32, `token_sums` of the row's N tokens.
    """
    ids = torch.tensor([[token for text in row for token in text.ids]], device=model.device)  # (1, N)
    # Positions start anew in every text. Rotary attention sees only their differences, but large angles are
    # inexact: without this a text's last digits would depend on where in the row it lies.
    positions = torch.cat([torch.arange(text.tokens) for text in row]).unsqueeze(0).to(model.device)  # (1, N)
    sums = torch.empty(len(components), model.layers, SUMS, ids.shape[1], device=model.device)

    def record(layer: int, component: str, residual: Tensor, delta: Tensor) -> None:
        sums[components.index(component), layer] = token_sums(residual, delta)

    with packed(model.module), contributions(blocks(model.module), components, record):
        lengths = [text.tokens for text in row]
        model.module(input_ids=ids, position_ids=positions, use_cache=False, text_lengths=lengths)
    return sums


def _non_finite(model: Model, layer: int) -> str:
    cure = "; load the model as bfloat16 or float32" if model.dtype == "float16" else ""
    return f"the activations at layer {layer} are not finite in {model.dtype}{cure}"


def _failed(model: Model, text: Encoded, components: tuple[str, ...], error: str) -> TextProfile:
    nothing = np.full((len(components), len(SCOPES), model.layers, len(METRICS)), np.nan)
    return TextProfile(text.ordinal, text.tokens, text.truncated, error, nothing)
