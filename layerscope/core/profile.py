"""`profile_texts()`: measures each text and returns its values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from layerscope.arrays import Array
from layerscope.core.batching import Encoded
from layerscope.core.contribution import batch_finite, batch_metrics, residual_squares, segments
from layerscope.core.massive import MassiveToken, massive_tokens
from layerscope.core.model import Model
from layerscope.core.pipeline import (
    BatchNumbers,
    TextNumbers,
    check_components,
    check_token_budget,
    default_budget,
    encode_all,
    forward,
    in_batches,
    non_finite,
)
from layerscope.core.sums.recorder import batch_sums
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.core.tokenization.token_strings import token_strings
from layerscope.names import COMPONENTS, METRICS, SCOPES, Component


@dataclass(frozen=True)
class TextProfile:
    """What was measured of one text.

    `tokens`: the number of measured tokens, special tokens included; for a failed text its number of tokens
    if known, else 0. `special_tokens_added`: how many of them the tokenizer or the chat template added; 0 for
    a failed text. `values`: float64 (component, scope, layer, metric), in the order of `components`, SCOPES
    and METRICS; nan = no value. All values are nan if `error` (a sentence) is not None.

    `massive`: the massive tokens in the order of the text. `square_norms`: float64 (2, layer), the sum of
    ‖h[ℓ]‖² over all tokens and over the massive ones; nan for a failed text.
    """

    ordinal: int
    tokens: int
    truncated: bool
    error: str | None
    values: Array
    special_tokens_added: int
    massive: tuple[MassiveToken, ...]
    square_norms: Array
    components: tuple[str, ...]

    def to_dict(self) -> dict[str, dict[str, dict[str, list[float | None]]]]:
        """The values by component, scope and metric: a list with a number for each layer; None = no value.

        For example `to_dict()["block"]["typical"]["relative_norm"]`.
        """
        return {
            component: {
                scope: {
                    metric: [None if np.isnan(value) else value for value in of_layers[:, place].tolist()]
                    for place, metric in enumerate(METRICS)
                }
                for scope, of_layers in zip(SCOPES, of_scopes, strict=True)
            }
            for component, of_scopes in zip(self.components, self.values, strict=True)
        }


def profile_texts(
    model: Model,
    texts: Iterable[TextInput],
    max_tokens: int | None = None,
    overflow: str = "truncate",
    components: Sequence[str] = COMPONENTS,
    *,
    window: int | None = None,
    special_tokens: str = "literal",
    token_budget: int | None = None,
) -> Iterator[TextProfile]:
    """Profiles texts lazily. A text that cannot be profiled has an `error`; it does not affect the others.

    Args:
        texts: read lazily, one buffer ahead; may be endless. A text is a string; or a list of token ids,
            which are measured as they are given (no token is added); or an object with exactly one of
            `text`, `token_ids`, and `messages` (a list of objects with `role` and `content`, which the chat
            template of the model turns into one text).
        max_tokens: the largest number of tokens of a text that count, from 1 to the limit of the model; None:
            the limit of the model.
        overflow: what happens to a longer text: "truncate" (its first tokens count) or "fail".
        components: which of COMPONENTS to measure; they are measured in the order of COMPONENTS.
        window: only the first `window` tokens of every text count, ≥ 1, so that all texts have the same
            length; a shorter text fails. None: no window.
        special_tokens: "literal" (a text or message that spells `<s>` is that text) or "parse" (the tokenizer
            makes special tokens of it).
        token_budget: tokens per forward pass; None: `default_budget`. Changes speed and memory, not the
            numbers.
    Yields: one TextProfile per text, in ordinal order.
    Raises: ValueError, immediately, for an argument out of range.
    """
    encoded = encode_all(model, texts, max_tokens, overflow, window, special_tokens)
    chosen = check_components(components)
    check_token_budget(token_budget)
    measure = partial(_batch_numbers, model, chosen)
    finish = partial(_text_profile, model, chosen)
    return in_batches(model, encoded, token_budget or default_budget(model), measure, finish)


def _batch_numbers(model: Model, components: tuple[str, ...], batch: Sequence[Encoded]) -> BatchNumbers:
    """Of each text C · S · L · M + 3 · L numbers: its values, its two square norms, and whether its layers
    are finite. Of each token: whether it is massive, which the norms of the block decide."""
    lengths = [text.tokens for text in batch]
    measured = components if Component.BLOCK in components else (Component.BLOCK.value, *components)
    with batch_sums(model, measured, sum(lengths)) as sums:
        forward(model, batch)
    squares = residual_squares(sums[0])
    massive = massive_tokens(squares[1:].sqrt(), lengths)
    norms = squares[:-1].T.double()  # (N, L)
    of_layers = [segments(part, lengths, "sum") for part in (norms, norms.where(massive[:, None], 0.0))]
    values = batch_metrics(sums[-len(components) :], lengths, model.hidden_size, massive).flatten(1)
    return BatchNumbers(torch.cat([values, *of_layers, batch_finite(sums, lengths)], 1), massive)


def _text_profile(
    model: Model, components: tuple[str, ...], text: Encoded, numbers: TextNumbers | None
) -> TextProfile:
    shape = len(components), len(SCOPES), model.layers, len(METRICS)
    values, square_norms = np.full(shape, np.nan), np.full((2, model.layers), np.nan)
    massive: tuple[MassiveToken, ...] = ()
    error = text.error
    if numbers is not None:
        measured, norms, finite = np.split(numbers.of_text, [-3 * model.layers, -model.layers])
        if finite.all():
            values, square_norms = measured.reshape(shape).copy(), norms.reshape(2, -1).copy()
            massive = _massive(model, text, numbers.of_tokens.nonzero()[0].tolist())
        else:
            error = non_finite(model, f"the activations at layer {int(finite.argmin())} are")
    return TextProfile(
        ordinal=text.ordinal,
        tokens=text.tokens,
        truncated=text.truncated,
        error=error,
        values=values,
        special_tokens_added=text.special_tokens_added,
        massive=massive,
        square_norms=square_norms,
        components=components,
    )


def _massive(model: Model, text: Encoded, positions: list[int]) -> tuple[MassiveToken, ...]:
    ids = [text.ids[position] for position in positions]
    return tuple(map(MassiveToken, positions, ids, token_strings(model.tokenizer, ids)))
