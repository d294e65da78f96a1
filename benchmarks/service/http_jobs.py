"""Large request bodies, and the requests that send and receive them."""

from collections.abc import Iterator
from hashlib import sha256
from uuid import UUID

import httpx

NDJSON = {"Content-Type": "application/x-ndjson"}
LINES_PER_CHUNK = 500
CHARACTERS = 200  # per text
TIMEOUT_SECONDS = 600


def lines(count: int, last: bytes = b"") -> Iterator[bytes]:
    """`count` texts as NDJSON, one per line, in chunks of LINES_PER_CHUNK lines; then `last`."""
    for numbers in _chunks(count):
        yield "".join(f'{{"domain": "cpp", "text": "{_text(number)}"}}\n' for number in numbers).encode()
    yield last


def paired_lines(count: int) -> Iterator[bytes]:
    """The same with two domains, in which two consecutive texts form a pair.

    The names of the pairs are hashes, so their alphabetical order differs from the order of the texts.
    """
    for numbers in _chunks(count):
        yield "".join(
            f'{{"domain": "{"ab"[number % 2]}", "text": "{_text(number)}", "pair": "{_pair(number // 2)}"}}\n'
            for number in numbers
        ).encode()


def _chunks(count: int) -> Iterator[range]:
    return (range(i, min(i + LINES_PER_CHUNK, count)) for i in range(0, count, LINES_PER_CHUNK))


def _text(number: int) -> str:
    return f"{number} ".ljust(CHARACTERS, "x")


def _pair(number: int) -> str:
    return sha256(number.to_bytes(8)).hexdigest()[:16]


def post(url: str, body: Iterator[bytes]) -> httpx.Response:
    return httpx.post(f"{url}/v1/jobs?model=demo", content=body, headers=NDJSON, timeout=TIMEOUT_SECONDS)


def delete(url: str, job_id: UUID) -> httpx.Response:
    return httpx.delete(f"{url}/v1/jobs/{job_id}", timeout=TIMEOUT_SECONDS)


def download(url: str, job_id: UUID, name: str) -> tuple[int, int, int]:
    """Reads a file and discards it. Returns the status, the size in bytes and the number of lines."""
    size = line_ends = 0
    with httpx.stream("GET", f"{url}/v1/jobs/{job_id}/{name}", timeout=TIMEOUT_SECONDS) as response:
        for chunk in response.iter_raw():
            size += len(chunk)
            line_ends += chunk.count(b"\n")
    return response.status_code, size, line_ends
