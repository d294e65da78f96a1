"""The texts that are measured: the same for everyone in a comparison, and the same in every run."""

import json
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHORTEST, LONGEST = 20, 800  # tokens, the BOS included
_MEDIAN, _SIGMA = 150, 0.8  # of the log-normal lengths before they are cut to the range
_SEED = 7
_LETTERS = np.array(list(string.ascii_lowercase + "     ."))
# A tokenizer that was trained makes about one token of four characters; ours makes four.
_CHARACTERS_A_TOKEN = 4


def synthetic(count: int, seed: int = _SEED) -> list[str]:
    """Random letters; log-normal lengths from SHORTEST to LONGEST tokens."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(np.log(_MEDIAN), _SIGMA, count)).round().astype(int)
    return [_letters(random, length) for length in lengths.clip(SHORTEST, LONGEST)]


def of_length(count: int, tokens: int, seed: int = _SEED) -> list[str]:
    """Random letters; each text has so many tokens."""
    random = np.random.default_rng(seed)
    return [_letters(random, tokens) for _ in range(count)]


def real(folder: Path, count: int, seed: int = _SEED) -> list[str]:
    """Texts from a folder of JSON lists, drawn from all of them, cut so that they have the number of tokens
    that a trained tokenizer would make of them, at most LONGEST."""
    lists = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    found = [text for texts in lists if isinstance(texts, list) for text in texts]
    if not found:
        raise SystemExit(f"{folder} has no *.json with a list of texts")
    drawn = np.random.default_rng(seed).choice(len(found), count, replace=count > len(found))
    return [_cut(found[index]) for index in drawn]


def tokens_of(texts: Sequence[str]) -> int:
    """Tokens of all texts together, the BOS of each included."""
    return sum(len(text.encode()) + 1 for text in texts)


def _letters(random: np.random.Generator, tokens: int) -> str:
    return "".join(random.choice(_LETTERS, max(1, tokens - 1)))


def _cut(text: str) -> str:
    characters = min(max(len(text) // _CHARACTERS_A_TOKEN, SHORTEST), LONGEST - 1)
    return text.encode()[:characters].decode(errors="ignore")
