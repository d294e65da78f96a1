"""Counts the attempts to measure a part, so that a text that kills the process is found and excluded.

The rules are those of a shard in the service (worker/measurement/shard.py): from the third attempt on, the
texts are first tried one by one, and a text during which three processes died fails.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from worker.corpus.storage import Storage

FOLDER = "attempts"


@dataclass
class Attempts:
    """The attempts of one part. They are in a file, because the process may die at any time."""

    storage: Storage
    name: str
    attempt: int = 0
    suspect: int | None = None
    crashes: list[int] = field(default_factory=list)

    @classmethod
    def begin(cls, storage: Storage, part: str) -> "Attempts":
        """Counts an attempt. An ordinal that was still suspected is the cause of a crash."""
        name = f"{FOLDER}/{part}.json"
        try:
            found: dict[str, Any] = json.loads(storage.read(name))
        except FileNotFoundError:
            found = {}
        attempts = cls(storage, name, **found)
        if attempts.suspect is not None:
            attempts.crashes.append(attempts.suspect)
        attempts.attempt += 1
        attempts.try_alone(None)
        return attempts

    def try_alone(self, ordinal: int | None) -> None:
        """The text with this ordinal is measured alone now; None: no text is."""
        self.suspect = ordinal
        record = {"attempt": self.attempt, "suspect": self.suspect, "crashes": self.crashes}
        self.storage.write(self.name, [json.dumps(record)])

    def count(self, ordinal: int) -> int:
        """How many processes died while they measured this text alone."""
        return Counter(self.crashes)[ordinal]

    def end(self) -> None:
        self.storage.remove(self.name)


def forget_attempts(storage: Storage) -> None:
    """Attempts count within one run: its user may have stopped it, or removed the cause of the failures."""
    for name in storage.names(FOLDER):
        storage.remove(f"{FOLDER}/{name}")
