"""Decompresses a gzip body as it arrives."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from app.errors import InvalidRequest
from app.settings import MIB, Settings
from app.submission.rules import over_limit

PIECE_BYTES = MIB  # decompressed at a time


def gunzip(chunks: Iterable[bytes], settings: Settings) -> Iterator[bytes]:
    """The contents of a gzip stream, of any number of members, in pieces of at most PIECE_BYTES.

    Raises: InvalidRequest if the stream is not gzip or is incomplete; LimitExceeded if it is too large, or
        expands too far.
    """
    source, written = _Source(chunks, settings.ndjson_limit_bytes), 0
    with gzip.GzipFile(fileobj=io.BufferedReader(source)) as file:  # it expects full reads
        while piece := _read(file):
            written += len(piece)
            if written > settings.gzip_expansion_limit * source.read_bytes + PIECE_BYTES:
                limit = f"{settings.gzip_expansion_limit} to 1"
                raise over_limit("The expansion of the body", limit, "gzip_expansion_limit")
            yield piece


def _read(file: gzip.GzipFile) -> bytes:
    try:
        return file.read1(PIECE_BYTES)
    except EOFError as error:
        raise InvalidRequest("The gzip body is incomplete.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InvalidRequest(f"The body is not gzip: {error}.") from error


class _Source(io.RawIOBase):
    """Chunks that arrive one by one, as a file; `read_bytes` counts what was read.

    The limit also ends streams without contents, such as endless padding, which `gunzip` cannot see.
    """

    def __init__(self, chunks: Iterable[bytes], limit: int) -> None:
        self._chunks, self._limit = iter(chunks), limit
        self._rest = memoryview(b"")
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        self.read_bytes += size
        if self.read_bytes > self._limit:
            raise over_limit("The body", f"{self._limit} bytes", "ndjson_limit_bytes")
        return size
