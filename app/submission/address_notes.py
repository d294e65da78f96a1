"""Notes texts that are only an address. They are measured as texts, and nothing is read from there."""

import re
from collections.abc import Iterable, Iterator

from app.jobs.store import PostedText, StoredText

LONGEST_ADDRESS = 2_000
LONGEST_SHOWN = 60
_ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]{1,15}://\S+\s*")


class AddressNotes:
    """What is noted of the texts of one submission."""

    def __init__(self) -> None:
        self._first = ""
        self._count = 0

    def noting(self, texts: Iterable[PostedText]) -> Iterator[PostedText]:
        """The same texts."""
        for ordinal, posted in enumerate(texts):
            text = StoredText(*posted)
            if "://" in text.text[:24] and _is_address(text):
                self._count += 1
                self._first = self._first or _sentence(ordinal, text)
            yield posted

    def sentences(self) -> list[str]:
        if not self._count:
            return []
        others = {1: "", 2: " So is 1 other."}.get(self._count, f" So are {self._count - 1} others.")
        return [f"{self._first}{others} These characters are measured, not what is at the address."]


def _sentence(ordinal: int, text: StoredText) -> str:
    address = text.text.strip()
    shown = address if len(address) <= LONGEST_SHOWN else f"{address[: LONGEST_SHOWN - 1]}…"
    return f"Text {ordinal} (domain {text.domain}) is only an address: {shown}."


def _is_address(text: StoredText) -> bool:
    """Token ids and messages are stored as JSON, which is none."""
    return len(text.text) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(text.text) is not None
