"""A stream of lines is read as it arrives; errors name their lines."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, LimitExceeded
from app.jobs.store import Draft, PostedText
from app.schemas import Options
from app.settings import Settings
from app.submission.ndjson_stream import read_parameters, read_texts
from tests.support.submissions import NAMES, TEXTS

SETTINGS = Settings(
    text_limit_bytes=100, texts_per_job_limit=50, domains_per_job_limit=16, ndjson_limit_bytes=100_000
)
FIELDS = "the fields are domain, text, pair"
MODELS: dict[str, int | None] = {"demo": None, "other": None}


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def read(body: bytes, size: int = 65_536, settings: Settings = SETTINGS) -> list[PostedText]:
    return list(read_texts((body[i : i + size] for i in range(0, len(body), size)), settings))


def refused(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        read(body)
    return raised.value


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=16), st.integers(1, 200))
def test_texts_keep_their_order_however_the_stream_is_cut(texts: list[tuple[str, str]], size: int) -> None:
    assert read(lines(*({"domain": d, "text": t} for d, t in texts)), size) == texts


def test_domain_and_pair_may_be_omitted() -> None:
    assert read(lines({"text": "a"}, {"text": "b", "pair": "7", "domain": "cpp"})) == [
        ("default", "a"),
        ("cpp", "b", "7"),
    ]


def test_blank_lines_and_a_missing_last_line_break_change_nothing() -> None:
    assert read(b'\n{"text": "a"}\r\n \n{"text": "b"}') == [("default", "a"), ("default", "b")]


def test_a_text_is_yielded_before_the_next_chunk_is_requested() -> None:
    requested = []

    def chunks() -> Iterator[bytes]:
        for line in (lines({"text": "a"}), lines({"text": "b"})):
            requested.append(line)
            yield line

    texts = read_texts(chunks(), SETTINGS)
    assert next(texts) == ("default", "a")
    assert len(requested) == 1


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        (b"[]", [("/2", "line 2: must be an object")]),
        (b'{"a": 1, "text": "b"}', [("/2/a", f"line 2: is not a known field; {FIELDS}")]),
        (b"{}", [("/2/text", "line 2: must be a string")]),
        (b'{"text": "b", "text": "c"}', [("/2/text", "line 2: occurs more than once in its object")]),
        (
            b'{"domain": 1, "text": "", "pair": 7}',
            [
                ("/2/domain", "line 2: must be a string"),
                ("/2/text", "line 2: is empty or contains only white space"),
                ("/2/pair", "line 2: must be a string"),
            ],
        ),
    ],
)
def test_errors_name_their_line(line: bytes, errors: list[tuple[str, str]]) -> None:
    error = refused(lines({"text": "a"}) + line + b"\n")
    assert [(place.pointer, place.detail) for place in error.errors] == errors


def test_a_line_that_is_not_json_is_refused_with_the_reason() -> None:
    (error,) = refused(b'{"text": \n').errors
    assert error.pointer == "/1"
    assert error.detail.startswith("line 1: is not JSON in UTF-8: Expecting value")


def test_after_the_first_error_no_text_is_yielded() -> None:
    texts = read_texts([lines({"text": "a"}, {}, {"text": "b"}, {"text": "c"})], SETTINGS)
    assert next(texts) == ("default", "a")
    with pytest.raises(InvalidRequest):
        next(texts)


def test_reading_stops_after_twenty_errors() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield lines({})

    with pytest.raises(InvalidRequest) as raised:
        list(read_texts(endless(), SETTINGS))
    assert [error.pointer for error in raised.value.errors] == [f"/{n}/text" for n in range(1, 21)]


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_a_body_without_texts_is_refused(body: bytes) -> None:
    assert refused(body).detail == "The body contains no text."


@pytest.mark.parametrize(
    ("body", "setting"),
    [
        (lines(*[{"text": "b"}] * 51), "TEXTS_PER_JOB_LIMIT"),
        (lines(*({"text": "b", "domain": f"{i}"} for i in range(17))), "DOMAINS_PER_JOB_LIMIT"),
        (lines({"text": "b" * 101}), "TEXT_LIMIT_BYTES"),
        (b'"' + b"b" * 4000, "TEXT_LIMIT_BYTES"),
        (b"\n" * 100_001, "NDJSON_LIMIT_BYTES"),
    ],
)
def test_limits_are_named(body: bytes, setting: str) -> None:
    with pytest.raises(LimitExceeded, match=f"LAYERSCOPE_{setting}"):
        read(body)


def test_a_text_of_the_largest_size_fits_its_line_in_any_escape() -> None:
    domain, text, pair = "d" * 64, "\x01" * 100, "p" * 64
    assert read(lines({"domain": domain, "text": text, "pair": pair}), 1000) == [(domain, text, pair)]


def parameters(**query: str) -> Draft:
    return read_parameters(query, "key", MODELS)


def test_model_and_name_are_parameters() -> None:
    options = Options().model_dump(mode="json")
    assert parameters(model="demo", name="n") == Draft("demo", "n", options, "key")


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ({"model": "demo", "colour": "red"}, ["?colour"]),
        ({}, ["?model"]),
        ({"model": "nobody"}, ["?model"]),
        ({"model": "demo", "name": 101 * "a"}, ["?name"]),
        ({"model": "demo", "texts": "[]"}, ["?texts"]),
    ],
)
def test_bad_parameters_are_named(query: dict[str, str], pointers: Iterable[str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parameters(**query)
    assert [error.pointer for error in raised.value.errors] == pointers
