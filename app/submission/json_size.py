"""Counts the values of a JSON text without building them, so that a small body cannot need much memory."""

import re
from typing import NamedTuple

from app.settings import Settings
from app.submission.rules import over_limit

CONTAINER_VALUES = 8  # an array or object needs as much memory and time as so many strings
PIECE_BYTES = 2**20  # other threads can run between two pieces
_ESCAPED = re.compile(rb"\\.", re.DOTALL)


class JsonSize(NamedTuple):
    """`containers`: arrays and objects; `separators`: commas between their members."""

    containers: int
    separators: int


def check_values(body: bytes, what: str, settings: Settings, remedy: str = "") -> None:
    """Python needs up to two hundred bytes for an array or object of two. Raises: LimitExceeded."""
    size = measure(body)
    if CONTAINER_VALUES * size.containers + size.separators > settings.json_values_limit:
        counted = f"an array or object counts as {CONTAINER_VALUES}"
        limit = f"{settings.json_values_limit} values, of which {counted}{remedy}"
        raise over_limit(what, limit, "json_values_limit")


def measure(body: bytes) -> JsonSize:
    """The size of a text that may also be invalid: then it is that of the values that a parser could find."""
    containers, separators = 0, 0
    inside, rest = False, b""  # within a string; a backslash whose next character is in the next piece
    for start in range(0, len(body), PIECE_BYTES):
        piece = _ESCAPED.sub(b"", rest + body[start : start + PIECE_BYTES])
        rest = b"\\" if piece.endswith(b"\\") else b""
        parts = piece.split(b'"')
        outside = b"".join(parts[inside::2])
        containers += outside.count(b"[") + outside.count(b"{")
        separators += outside.count(b",")
        inside ^= len(parts) % 2 == 0
    return JsonSize(containers, separators)
