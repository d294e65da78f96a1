"""Keeps the state of a job small, however long its source, its error or the names of its domains are."""

import json
from collections.abc import Mapping, Sequence

from app.schemas import JobOut

LARGEST_STATE = 4096  # bytes of JSON
# In bytes of JSON.
LONGEST_SOURCE = 128
LONGEST_REVISION = 48
LONGEST_ERROR = 288
LONGEST_WARNING = 288
SHORTEST_WARNING = 32


def cut(text: str | None, longest: int) -> str | None:
    """The text, shortened to at most `longest` bytes of JSON, and an ellipsis."""
    used = 0
    for index, character in enumerate(text or ""):
        used += _bytes(character) - len('""')
        if used > longest:
            return f"{(text or '')[:index]}…"
    return text


def with_optional_parts(job: JobOut, warnings: Sequence[str], links: Mapping[str, str]) -> JobOut:
    """The job with those of the warnings and links, in their order, for which there is room."""
    room = LARGEST_STATE - len(job.model_dump_json().encode())
    shown = []
    for warning in warnings:
        longest = min(room - len('"…",') - len("…".encode()), LONGEST_WARNING)
        if longest < SHORTEST_WARNING:
            break
        shown.append(cut(warning, longest) or "")
        room -= _bytes(shown[-1]) + len(",")
    fitting = {}
    for key, address in links.items():
        room -= _bytes(key) + _bytes(address) + len(":,")
        if room < 0:
            break
        fitting[key] = address
    return job.model_copy(update={"warnings": shown, "links": job.links.model_copy(update=fitting)})


def _bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())
