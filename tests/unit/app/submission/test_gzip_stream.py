"""A gzip body is decompressed as it arrives, within its limits."""

import gzip
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, LimitExceeded
from app.settings import Settings
from app.submission.gzip_stream import PIECE_BYTES, gunzip

SETTINGS = Settings(gzip_expansion_limit=100)
CONTENTS = random.Random(0).randbytes(3 * PIECE_BYTES)


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[i : i + size] for i in range(0, len(body), size))


def unpacked(body: bytes, size: int = 65_536) -> bytes:
    return b"".join(gunzip(cut(body, size), SETTINGS))


@given(st.lists(st.binary(max_size=200), max_size=4), st.integers(1, 300))
def test_any_members_in_any_chunks_are_decompressed(members: list[bytes], size: int) -> None:
    assert unpacked(b"".join(map(gzip.compress, members)), size) == b"".join(members)


def test_pieces_have_a_largest_size() -> None:
    pieces = list(gunzip([gzip.compress(CONTENTS)], SETTINGS))
    assert b"".join(pieces) == CONTENTS
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_empty_chunks_and_padding_change_nothing() -> None:
    packed = gzip.compress(b"abc")
    assert b"".join(gunzip([b"", packed[:5], b"", packed[5:], b"", b"\0" * 10], SETTINGS)) == b"abc"


def test_contents_come_before_the_end_of_the_stream() -> None:
    requested = []

    def chunks() -> Iterator[bytes]:
        for chunk in cut(gzip.compress(CONTENTS), 65_536):
            requested.append(chunk)
            yield chunk

    next(gunzip(chunks(), SETTINGS))
    assert sum(map(len, requested)) < 400_000


@pytest.mark.parametrize("missing", [1, 8, 9, 20])
def test_an_incomplete_stream_is_refused(missing: int) -> None:
    packed = gzip.compress(b"abcdefgh" * 10)
    with pytest.raises(InvalidRequest, match=r"^The gzip body is incomplete\.$"):
        unpacked(packed[:-missing])


def test_an_incomplete_second_member_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="incomplete"):
        unpacked(gzip.compress(b"a") + gzip.compress(b"b")[:-3])


def damaged(packed: bytes, place: int) -> bytes:
    return packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :]


@pytest.mark.parametrize(
    "body",
    [
        b"not gzip at all",
        gzip.compress(b"abc") + b"rubbish",
        damaged(gzip.compress(b"abc"), -6),  # the checksum
        damaged(gzip.compress(CONTENTS[:1000]), 400),
        damaged(gzip.compress(b"abc"), 2),  # the method of compression
    ],
    ids=["no gzip", "rubbish after it", "checksum", "contents", "method"],
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="The body is not gzip: "):
        unpacked(body)


def test_a_stream_that_expands_too_far_is_refused_before_its_end() -> None:
    bomb = gzip.compress(b"\n" * 50_000_000)
    sizes: list[int] = []
    pieces = gunzip(cut(bomb, 1000), SETTINGS)
    with pytest.raises(LimitExceeded, match="LAYERSCOPE_GZIP_EXPANSION_LIMIT"):
        sizes += map(len, pieces)
    assert sum(sizes) < len(bomb) * SETTINGS.gzip_expansion_limit + 2 * PIECE_BYTES


def test_endless_padding_is_refused_at_the_limit_of_the_body() -> None:
    def padded() -> Iterator[bytes]:
        yield gzip.compress(b"abc")
        while True:
            yield b"\0" * 65_536

    with pytest.raises(LimitExceeded, match="LAYERSCOPE_NDJSON_LIMIT_BYTES"):
        list(gunzip(padded(), Settings(ndjson_limit_bytes=300_000)))


def test_an_error_of_the_source_is_passed_on() -> None:
    def interrupted() -> Iterator[bytes]:
        yield gzip.compress(b"abc")[:5]
        raise LimitExceeded("too long")

    with pytest.raises(LimitExceeded, match="too long"):
        list(gunzip(interrupted(), SETTINGS))
