"""From bytes to text: gzip, encodings, lines. Nothing holds a whole file."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, Any, NamedTuple

from layerscope.inputs.records import UnreadableInputError

PIECE_BYTES = 2**16
LONGEST = 2**23  # characters of a line, a JSON value, or a text file with one text: limits the memory
GZIP_START = b"\x1f\x8b"
# UTF-32 first: its mark in little endian starts with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
LONGEST_MARK = 4


class DecodedText(NamedTuple):
    """The pieces of a text, and its encoding in words."""

    pieces: Iterator[str]
    encoding: str


def uncompressed(name: str, file: IO[bytes]) -> tuple[Iterator[bytes], bool]:
    """The content of a file in pieces, and whether it was compressed with gzip."""
    pieces = iter(lambda: file.read(PIECE_BYTES), b"")
    head, pieces = _peek(pieces, len(GZIP_START))
    if not head.startswith(GZIP_START):
        return pieces, False
    return _gunzip(name, pieces), True


def _peek(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The start of the content, at least `size` bytes if there are so many, and the whole content."""
    taken: list[bytes] = []
    while sum(map(len, taken)) < size and (piece := next(pieces, b"")):
        taken.append(piece)
    return b"".join(taken), chain(taken, pieces)


def _gunzip(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BufferedReader(PiecesFile(pieces))) as file:
        while True:
            try:
                piece = file.read1(PIECE_BYTES)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise UnreadableInputError(f"{name} is not a complete gzip file: {error}.") from error
            if not piece:
                return
            yield piece


class PiecesFile(io.RawIOBase):
    """Pieces that are read one by one, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def decoded(name: str, pieces: Iterator[bytes]) -> DecodedText:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises: UnreadableInputError, also while the pieces are read. It names the byte that cannot be decoded.
    """
    head, pieces = _peek(pieces, LONGEST_MARK)
    for mark, codec, words in MARKS:
        if head.startswith(mark):
            return DecodedText(_decode(name, pieces, codec, words, len(mark)), words)
    if len(head) >= LONGEST_MARK and (head[0:3:2] == b"\0\0" or head[1:4:2] == b"\0\0"):
        raise UnreadableInputError(f"{name} seems to be UTF-16 without a byte order mark: save it as UTF-8.")
    return DecodedText(_decode(name, pieces, "utf-8", "UTF-8", 0), "UTF-8")


def _decode(name: str, pieces: Iterator[bytes], codec: str, words: str, skipped: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)()
    position, line = 0, 1
    for piece in chain(pieces, [b""]):
        content, waiting = (piece[skipped:], 0) if position == 0 else (piece, len(decoder.getstate()[0]))
        try:
            text = decoder.decode(content, final=not piece)
        except UnicodeDecodeError as error:
            at = max(position, skipped) - waiting + error.start
            line += error.object[: error.start].count(b"\n")
            byte = error.object[error.start]
            place = f"{name}, line {line}: byte 0x{byte:02x} at position {at}"
            raise UnreadableInputError(
                f"{place} is not {words.partition(' ')[0]}. Save the file as UTF-8."
            ) from error
        position += len(piece)
        line += text.count("\n")
        yield text


def lines_of(name: str, pieces: Iterable[str]) -> Iterator[str]:
    """The lines with their line ends. Raises: UnreadableInputError if a line is too long."""
    rest: list[str] = []
    size = 0
    for piece in pieces:
        *whole, last = piece.split("\n")
        for line in whole:
            yield "".join([*rest, line, "\n"])
            rest, size = [], 0
        rest.append(last)
        size += len(last)
        if size > LONGEST:
            raise UnreadableInputError(f"{name} contains a line of more than {LONGEST:,} characters.")
    if size:
        yield "".join(rest)


def whole_text(name: str, pieces: Iterable[str]) -> str:
    """Raises: UnreadableInputError if it is too long."""
    taken: list[str] = []
    size = 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise UnreadableInputError(
                f"{name} is one text of more than {LONGEST:,} characters: split it, or read it line by line."
            )
    return "".join(taken)
