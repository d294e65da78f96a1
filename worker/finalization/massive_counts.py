"""Accumulates the massive tokens of the texts of one domain."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from layerscope.arrays import Array
from layerscope.names import MASSIVE_STRINGS


class MassiveTokens:
    """How many tokens are massive, their share of the squared norms, and their most frequent strings."""

    def __init__(self, layers: int) -> None:
        self.texts, self.tokens, self.massive, self.massive_first = 0, 0, 0, 0
        self._square_norms: Array = np.zeros((2, layers))  # over all tokens, over the massive ones
        self._strings: Counter[str] = Counter()
        self._texts_of_strings: Counter[str] = Counter()

    def add(self, tokens: int, positions: Sequence[int], strings: Sequence[str], square_norms: Array) -> None:
        """A text: the positions of its massive tokens, their strings, and (2, L) square norms."""
        self.texts += 1
        self.tokens += tokens
        self.massive += len(positions)
        self.massive_first += 0 in positions
        self._square_norms += square_norms
        self._strings.update(strings)
        self._texts_of_strings.update(set(strings))

    def rows(self) -> Iterator[dict[str, Any]]:
        """What a row of `massive_tokens` contains for each layer, besides its key."""
        of_all, of_massive = self._square_norms
        for all_tokens, massive in zip(of_all.tolist(), of_massive.tolist(), strict=True):
            yield {
                "texts": self.texts,
                "tokens": self.tokens,
                "massive": self.massive,
                "massive_first": self.massive_first,
                "massive_share": self.massive / self.tokens,
                "norm_share": massive / all_tokens if all_tokens > 0 else None,
            }

    def strings(self) -> Iterator[dict[str, Any]]:
        """What a row of `massive_string` contains, the most frequent string first."""
        most = sorted(self._strings.items(), key=lambda item: (-item[1], item[0]))[:MASSIVE_STRINGS]
        for place, (token, count) in enumerate(most):
            texts = self._texts_of_strings[token]
            yield {"place": place, "token": token, "massive": count, "texts": texts}
