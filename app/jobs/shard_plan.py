"""Divides the texts of a new job into shards, and computes the fingerprint of the request.

The plan depends only on the request and on the shard size. It is stored with the job and never changes.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# In the fingerprint, in the place of the length of a domain name: what follows belongs to the text before.
PAIR_FOLLOWS, FORM_FOLLOWS, ERROR_FOLLOWS = b"\xff" * 8, b"\xfe" * 8, b"\xfd" * 8


@dataclass(frozen=True)
class ShardSize:
    """A shard is full with the text that reaches one of these numbers."""

    characters: int
    texts: int


@dataclass
class PlannedShard:
    first_ordinal: int
    characters: int = 0
    texts: dict[str, int] = field(default_factory=dict)  # by domain
    first_of: dict[str, int] = field(default_factory=dict)  # the first ordinal of each domain in this shard

    @property
    def end_ordinal(self) -> int:
        return self.first_ordinal + sum(self.texts.values())


class ShardPlan:
    """`request` is the whole request except for its texts, which are added one by one."""

    def __init__(self, request: Sequence[Any], size: ShardSize) -> None:
        self.shards: list[PlannedShard] = []
        self.has_pairs = False
        self.text_bytes = 0
        self._size = size
        self._hash = hashlib.sha256(json.dumps(request, sort_keys=True).encode())

    @property
    def texts(self) -> int:
        return self.shards[-1].end_ordinal if self.shards else 0

    @property
    def request_sha256(self) -> bytes:
        return self._hash.digest()

    def add(
        self,
        domain: str,
        text: str,
        pair: str | None = None,
        form: str | None = None,
        error: str | None = None,
    ) -> None:
        """The characters of token ids and messages are those of their JSON."""
        self._fingerprint(domain, text)
        for marker, part in ((PAIR_FOLLOWS, pair), (FORM_FOLLOWS, form), (ERROR_FOLLOWS, error)):
            if part is not None:
                self._hash.update(marker)
                self._fingerprint(part)
        self.has_pairs |= pair is not None
        self.text_bytes += len(text.encode())
        if not self.shards or self._is_full(self.shards[-1]):
            self.shards.append(PlannedShard(self.texts))
        shard = self.shards[-1]
        shard.characters += len(text)
        shard.first_of.setdefault(domain, self.texts)
        shard.texts[domain] = shard.texts.get(domain, 0) + 1

    def _fingerprint(self, *parts: str) -> None:
        for part in map(str.encode, parts):
            self._hash.update(len(part).to_bytes(8))
            self._hash.update(part)

    def _is_full(self, shard: PlannedShard) -> bool:
        texts = shard.end_ordinal - shard.first_ordinal
        return shard.characters >= self._size.characters or texts >= self._size.texts
