"""Decompresses the files of a form, with limits: a small file must not keep a thread busy for minutes."""

import io
from collections.abc import Iterable, Iterator
from typing import IO, cast

from app.errors import InvalidRequest
from app.settings import Settings
from app.submission.gzip_stream import gunzip
from app.submission.rules import over_limit
from layerscope.inputs.decoding import GZIP_START, PIECE_BYTES, PiecesFile

EXPANSION_OF_FILE = 8  # a file may be this many times larger than the largest form


def decompressed(name: str, file: IO[bytes], settings: Settings) -> IO[bytes]:
    """The file itself if it is not compressed. Raises: InvalidRequest; LimitExceeded while it is read."""
    is_compressed = file.read(len(GZIP_START)) == GZIP_START
    file.seek(0)
    if not is_compressed:
        return file
    pieces = _limited(gunzip(iter(lambda: file.read(PIECE_BYTES), b""), settings), settings)
    content = io.BufferedReader(PiecesFile(pieces))
    if content.peek(len(GZIP_START)).startswith(GZIP_START):
        raise InvalidRequest(f"{name} is compressed twice.")
    return cast(IO[bytes], content)


def _limited(pieces: Iterable[bytes], settings: Settings) -> Iterator[bytes]:
    limit, size = EXPANSION_OF_FILE * settings.body_limit_bytes, 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise over_limit("A decompressed file", f"{limit} bytes", "body_limit_bytes")
        yield piece
