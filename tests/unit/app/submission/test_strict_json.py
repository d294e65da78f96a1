"""JSON is read as the standard library reads it, or refused at its place."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli import SWITCH_SECONDS
from app.submission.strict_json import DECODER, DECODER_WITH_PAUSES, LARGE_BYTES, InvalidJson, parse
from tests.support.byte_strategies import DOCUMENTS, as_json, damaged, soup
from tests.support.jobs.submissions import JSON

DEPTH_LIMIT = 16


def refused(body: bytes) -> InvalidJson:
    with pytest.raises(InvalidJson) as raised:
        parse(body, DEPTH_LIMIT)
    return raised.value


@given(JSON)
def test_valid_json_is_parsed_as_the_standard_library_does(value: Any) -> None:
    assert parse(json.dumps(value).encode(), depth_limit=10_000) == value


def outcome(body: bytes) -> Any:
    try:
        return parse(body, DEPTH_LIMIT)
    except InvalidJson as error:
        return error.path


@given(JSON.map(as_json) | soup() | damaged(DOCUMENTS.map(as_json)) | st.binary(max_size=100))
def test_a_large_document_is_read_as_a_small_one(body: bytes) -> None:
    assert outcome(body + b" " * LARGE_BYTES) == outcome(body)


@pytest.mark.parametrize("number", ["6\u0664", "\u0661", "1.\u0665", "1e\u0662"])
def test_digits_of_other_scripts_are_not_json(number: str) -> None:
    body = f"[{number}]".encode()
    assert outcome(body) == outcome(body + b" " * LARGE_BYTES) == ()


def other_threads_ran(decoder: json.JSONDecoder, text: str) -> int:
    """How often another thread got its turn while the text was read."""
    turns, is_over = 0, threading.Event()

    def take_turns() -> None:
        nonlocal turns
        while not is_over.is_set():
            turns += 1
            time.sleep(0.0001)

    other = threading.Thread(target=take_turns)
    other.start()
    before = turns
    decoder.decode(text)
    counted = turns - before
    is_over.set()
    other.join()
    return counted


@pytest.fixture
def switching_like_the_service() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("switching_like_the_service")
def test_other_threads_run_while_a_large_document_is_read() -> None:
    text = json.dumps(["ab"] * 300_000)
    assert other_threads_ran(DECODER_WITH_PAUSES, text) > 10
    assert other_threads_ran(DECODER, text) < 10  # otherwise, the other decoder is no longer needed


@pytest.mark.parametrize(("depth", "is_read"), [(16, True), (17, False)])
def test_nesting_ends_at_the_limit(depth: int, is_read: bool) -> None:
    body = b"[" * depth + b"]" * depth
    if is_read:
        parse(body, DEPTH_LIMIT)
    else:
        error = refused(body)
        assert error.detail == "is nested more than 16 levels deep"
        assert error.path == (0,) * 16


def test_nesting_beyond_the_recursion_limit_is_refused() -> None:
    assert refused(b"[" * 100_000 + b"]" * 100_000).detail == "is nested more than 16 levels deep"


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_constants_that_json_does_not_have_are_refused(constant: bytes) -> None:
    assert refused(b'{"a": ' + constant + b"}").detail == (
        f"is not JSON in UTF-8: {constant.decode()} is not a JSON value"
    )


def test_a_very_long_number_is_refused_with_its_length() -> None:
    assert "5000 digits" in refused(b'{"a": ' + b"9" * 5000 + b"}").detail


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}', DEPTH_LIMIT) == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1,}', b'"\xff"', b'"a\nb"'])
def test_other_bytes_are_not_json_in_utf_8(body: bytes) -> None:
    error = refused(body)
    assert error.detail.startswith("is not JSON in UTF-8: ")
    assert error.path == ()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"a": 1, "a": 1}', ("a",)),
        (b'{"texts": {"a/b": ["x"], "c": [], "a/b": ["y"]}}', ("texts", "a/b")),
        (b'[0, [{"x": 0, "y": 1, "y": 1}]]', (1, 0, "y")),
    ],
)
def test_a_repeated_name_is_refused_at_its_place(body: bytes, path: tuple[str | int, ...]) -> None:
    error = refused(body)
    assert (error.detail, error.path) == ("occurs more than once in its object", path)
