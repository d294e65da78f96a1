"""The texts of the benchmarks: the same in every run and for every contestant."""

import json
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHORTEST, LONGEST = 20, 800  # tokens, including BOS
_MEDIAN, _SIGMA = 150, 0.8  # of the log-normal lengths, before they are clipped to the range
_SEED = 7
_LETTERS = np.array(list(string.ascii_lowercase + "     ."))
# A trained tokenizer makes about one token of four characters. The tokenizer of the benchmarks makes four.
_CHARACTERS_PER_TOKEN = 4


def synthetic(count: int, seed: int = _SEED) -> list[str]:
    """Random letters. The lengths are log-normal, clipped to SHORTEST … LONGEST tokens."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(np.log(_MEDIAN), _SIGMA, count)).round().astype(int)
    return [_letters(random, length) for length in lengths.clip(SHORTEST, LONGEST)]


def of_length(count: int, tokens: int, seed: int = _SEED) -> list[str]:
    """Random letters. Every text has the given number of tokens."""
    random = np.random.default_rng(seed)
    return [_letters(random, tokens) for _ in range(count)]


def real(folder: Path, count: int, seed: int = _SEED) -> list[str]:
    """A random selection of the texts in a folder of JSON lists.

    Each text is cut to the number of tokens that a trained tokenizer would make of it, at most LONGEST.

    Raises:
        SystemExit: the folder contains no text.
    """
    lists = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    found = [text for texts in lists if isinstance(texts, list) for text in texts]
    if not found:
        raise SystemExit(f"{folder} contains no *.json file with a list of texts")
    drawn = np.random.default_rng(seed).choice(len(found), count, replace=count > len(found))
    return [_cut(found[index]) for index in drawn]


def tokens_of(texts: Sequence[str]) -> int:
    """The number of tokens of all texts together, including the BOS token of each text."""
    return sum(len(text.encode()) + 1 for text in texts)


def _letters(random: np.random.Generator, tokens: int) -> str:
    return "".join(random.choice(_LETTERS, max(1, tokens - 1)))


def _cut(text: str) -> str:
    characters = min(max(len(text) // _CHARACTERS_PER_TOKEN, SHORTEST), LONGEST - 1)
    return text.encode()[:characters].decode(errors="ignore")
