"""Measures how well a model predicts texts, compared with a uniform and a unigram prediction."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from demo.tokens import encode

MOST_TOKENS = 1_024  # per text

Figures = dict[str, float]


def measure(model: Any, tokenizer: Any, texts: Sequence[str]) -> Figures:
    """In nats per token. The first token of a text (after BOS) is included.

    `loss`: of the model. `unigram`: the entropy of the token frequencies of these texts; no prediction that
    ignores the order of tokens can be better. `uniform`: ln of the vocabulary size.
    """
    rows = [encode(tokenizer, text)[: MOST_TOKENS + 1] for text in texts]
    tokens = Counter(token for row in rows for token in row[1:])
    return {
        "texts": len(texts),
        "tokens": tokens.total(),
        "loss": sum(_surprise(model, row) for row in rows) / tokens.total(),
        "unigram": entropy(tokens),
        "uniform": math.log(len(tokenizer)),
    }


def entropy(counts: "Counter[int]") -> float:
    """The entropy of the frequencies in nats. Source: Shannon 1948, section 6."""
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


@torch.no_grad()
def _surprise(model: Any, row: list[int]) -> float:
    """The sum of −ln p over the tokens after the first one, in nats."""
    ids = torch.tensor([row])  # (1, T)
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits[0]  # (T − 1, V)
    return functional.cross_entropy(logits.float(), ids[0, 1:], reduction="sum").item()
