"""From texts to rows of tokens: tokenise, cut the stream into buffers, pack buffers under a budget."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from typing import Any

# A window is what is held at a time, whatever the number of texts: enough to fill rows well, and no more.
BUFFER_TEXTS = 256
BUFFER_BATCHES = 4  # token budgets a window


@dataclass(frozen=True)
class Encoded:
    """A text as the model will see it, or the reason why it won't."""

    ordinal: int
    ids: tuple[
        int, ...
    ]  # token ids in the text's order, special tokens of the tokenizer included; () if it failed
    tokens: int  # len(ids), or of a failed text its token count where known, else 0
    truncated: bool
    error: str | None


def encode(
    tokenizer: Any,
    ordinal: int,
    text: object,
    limit: int,
    overflow: str,
    vocabulary_size: int,
    window: int | None = None,
) -> Encoded:
    """Tokenises one text; whatever is wrong with it becomes its `error` and nobody else's.

    Special tokens are the tokenizer's own choice (a Llama 3 tokenizer puts a BOS in front): they count as
    tokens, and a BOS is the text's first token.

    Args:
        limit: the most tokens that count, ≥ 1.
        overflow: "truncate" (the first `limit` tokens count) or "fail".
        vocabulary_size: rows of the model's embedding; an id beyond it would kill a CUDA process.
        window: tokens that count of every text, which fails if it has fewer (or fewer within the limit).
    """
    if not isinstance(text, str):
        return _failed(ordinal, 0, f"the text is not a string but {type(text).__name__}")
    if not text:
        return _failed(ordinal, 0, "the text is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _failed(ordinal, 0, "the text holds half of a surrogate pair, which is no character")
    try:
        ids = tokenizer(text, verbose=False)["input_ids"]
    except Exception as error:  # whatever the tokenizer raises, the other texts go on
        return _failed(ordinal, 0, f"the text could not be tokenised: {error or type(error).__name__}")
    if not ids:
        return _failed(ordinal, 0, "the text has no tokens")
    if len(ids) > limit and overflow == "fail":
        return _failed(ordinal, len(ids), f"the text has {len(ids)} tokens, more than the limit of {limit}")
    kept = tuple(ids[: min(limit, window or limit)])
    if len(kept) < (window or 0):
        return _failed(
            ordinal, len(ids), f"the text has {len(kept)} tokens, fewer than the window of {window}"
        )
    if max(kept) >= vocabulary_size:
        reason = f"token id {max(kept)} is outside the model's vocabulary of {vocabulary_size}"
        return _failed(ordinal, len(ids), f"the text cannot be embedded: {reason}")
    return Encoded(ordinal, kept, len(kept), len(kept) < len(ids), None)


def _failed(ordinal: int, tokens: int, error: str) -> Encoded:
    return Encoded(ordinal, (), tokens, False, error)


def buffers(texts: Iterable[Encoded], budget: int) -> Iterator[list[Encoded]]:
    """Cuts the stream where BUFFER_BATCHES · budget tokens or BUFFER_TEXTS texts are reached.

    Reads no text beyond the window it returns. Where it cuts depends on the texts alone, never on timing, so
    the same texts always share the same rows.
    """
    window: list[Encoded] = []
    tokens = 0
    for text in texts:
        window.append(text)
        tokens += len(text.ids)
        if tokens >= BUFFER_BATCHES * budget or len(window) >= BUFFER_TEXTS:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def pack(window: Sequence[Encoded], budget: int) -> list[list[Encoded]]:
    """As few rows under the budget as need be, all about equally long: a short one left over would run
    slower, and rows filled to the brim would take more memory.

    Texts without tokens are left out; a text of `budget` tokens or more has a row of its own. The longest row
    comes first, so a memory that is too small shows at once.
    """
    texts = sorted((text for text in window if text.ids), key=lambda text: (-len(text.ids), text.ordinal))
    alone = [[text] for text in texts if len(text.ids) >= budget]
    together = texts[len(alone) :]
    count = -(-_tokens(together) // budget)
    rows = _balance(together, count)
    while any(_tokens(row) > budget for row in rows):
        count += 1
        rows = _balance(together, count)
    return alone + sorted(rows, key=_tokens, reverse=True)


def _balance(texts: Sequence[Encoded], count: int) -> list[list[Encoded]]:
    """Each text, the longest first, into the row that is the shortest so far (Graham 1969)."""
    rows: list[list[Encoded]] = [[] for _ in range(count)]
    shortest = [(0, i) for i in range(count)]
    for text in texts:
        length, i = shortest[0]
        rows[i].append(text)
        heapreplace(shortest, (length + len(text.ids), i))
    return rows


def _tokens(texts: Sequence[Encoded]) -> int:
    return sum(len(text.ids) for text in texts)
