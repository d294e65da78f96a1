"""From texts to batches of tokens: tokenise, collect in buffers, pack into batches under a token budget."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from typing import Any

from layerscope.core.tokenization.chat import TextError
from layerscope.core.tokenization.token_ids import token_ids
from layerscope.names import SpecialTokens

# The most that is held in memory at a time, for any number of texts: enough to fill batches well.
BUFFER_TEXTS = 256
BUFFER_BATCHES = 4  # token budgets per buffer


@dataclass(frozen=True)
class Encoded:
    """The token ids of a text, or the reason why it cannot be measured."""

    ordinal: int
    ids: tuple[int, ...]  # in the order of the text, with the special tokens around it; () if it failed
    tokens: int  # len(ids); for a failed text its number of tokens if known, else 0
    truncated: bool
    error: str | None
    special_tokens_added: int = 0  # how many of the ids the tokenizer or the chat template added


def encode(
    tokenizer: Any,
    ordinal: int,
    text: object,
    limit: int,
    overflow: str,
    vocabulary_size: int,
    window: int | None = None,
    special_tokens: str = SpecialTokens.LITERAL,
) -> Encoded:
    """Tokenises one text. If it fails, the reason becomes its `error`; other texts are not affected.

    The tokenizer decides which special tokens it adds (a Llama 3 tokenizer puts a BOS in front of the text).
    They count as tokens, and a BOS is the first token of the text.

    Args:
        text, special_tokens: see `token_ids`.
        limit: the largest number of tokens that count, ≥ 1.
        overflow: "truncate" (the first `limit` tokens count) or "fail".
        vocabulary_size: the number of rows of the model's embedding. On CUDA, a larger id would end the
            process.
        window: the number of tokens that count in every text. A text with fewer tokens, or with fewer within
            the limit, fails.
    """
    try:
        ids, added = token_ids(tokenizer, text, special_tokens)
    except TextError as error:
        return _failed(ordinal, 0, str(error))
    except Exception as error:  # whatever the tokenizer raises, the other texts must be measured
        return _failed(ordinal, 0, f"the text could not be tokenised: {error or type(error).__name__}")
    if not ids:
        return _failed(ordinal, 0, "the text has no tokens")
    kept = tuple(ids[: min(limit, window or limit)])
    if reason := _not_measurable(len(ids), kept, limit, overflow, vocabulary_size, window):
        return _failed(ordinal, len(ids), reason)
    return Encoded(ordinal, kept, len(kept), len(kept) < len(ids), None, sum(added[: len(kept)]))


def _not_measurable(
    tokens: int,
    kept: tuple[int, ...],
    limit: int,
    overflow: str,
    vocabulary_size: int,
    window: int | None,
) -> str | None:
    """The reason why a text with so many tokens, of which `kept` would count, cannot be measured."""
    if tokens > limit and overflow == "fail":
        return (
            f"the text has {tokens} tokens, more than the limit of {limit}; "
            "shorten it, or set overflow to truncate"
        )
    if len(kept) < (window or 0):
        return f"the text has {len(kept)} tokens, fewer than the window of {window}; choose a smaller window"
    if max(kept) >= vocabulary_size:
        return (
            f"token id {max(kept)} is outside the model's vocabulary of {vocabulary_size} tokens; "
            "the tokenizer, or the token_ids of the text, do not belong to this model"
        )
    return None


def _failed(ordinal: int, tokens: int, error: str) -> Encoded:
    return Encoded(ordinal, (), tokens, False, error)


def buffers(texts: Iterable[Encoded], budget: int) -> Iterator[list[Encoded]]:
    """Collects texts in buffers of at least BUFFER_BATCHES · budget tokens or of BUFFER_TEXTS texts.

    Reads no text beyond the buffer that it returns. The boundaries depend only on the texts, never on timing,
    so the same texts always share the same batches.
    """
    buffer: list[Encoded] = []
    tokens = 0
    for text in texts:
        buffer.append(text)
        tokens += len(text.ids)
        if tokens >= BUFFER_BATCHES * budget or len(buffer) >= BUFFER_TEXTS:
            yield buffer
            buffer, tokens = [], 0
    if buffer:
        yield buffer


def pack(buffer: Sequence[Encoded], budget: int) -> list[list[Encoded]]:
    """Packs texts into as few batches as the budget allows, all of about equal length.

    A short batch at the end would be slow, and completely filled batches would need more memory. Texts
    without tokens are left out. A text of `budget` tokens or more has a batch of its own. The longest batch
    comes first, so that a lack of memory appears immediately.
    """
    texts = sorted((text for text in buffer if text.ids), key=lambda text: (-len(text.ids), text.ordinal))
    alone = [[text] for text in texts if len(text.ids) >= budget]
    together = texts[len(alone) :]
    count = -(-_tokens(together) // budget)
    batches = _balance(together, count)
    while any(_tokens(batch) > budget for batch in batches):
        count += 1
        batches = _balance(together, count)
    return alone + sorted(batches, key=_tokens, reverse=True)


def _balance(texts: Sequence[Encoded], count: int) -> list[list[Encoded]]:
    """Puts each text, the longest first, into the batch that is the shortest so far (Graham 1969)."""
    batches: list[list[Encoded]] = [[] for _ in range(count)]
    shortest = [(0, i) for i in range(count)]
    for text in texts:
        length, i = shortest[0]
        batches[i].append(text)
        heapreplace(shortest, (length + len(text.ids), i))
    return batches


def _tokens(texts: Sequence[Encoded]) -> int:
    return sum(len(text.ids) for text in texts)
