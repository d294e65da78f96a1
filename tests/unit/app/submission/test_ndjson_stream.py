"""A stream of lines is read as it arrives; errors name their lines."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, LimitExceeded
from app.jobs.store import Draft, StoredText
from app.settings import Settings
from app.submission.line import OTHER_FIELDS
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModel
from app.submission.stream_parameters import LineParameters, StreamRequest
from tests.support.jobs.submissions import NAMES, TEXTS

SETTINGS = Settings(
    text_limit_bytes=100, texts_per_job_limit=50, domains_per_job_limit=16, ndjson_limit_bytes=100_000
)
FIELDS = "the fields are domain, text, token_ids, messages, pair"
MESSAGES = [{"role": "user", "content": "a"}]


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def stream(paired: bool = False, chat_template: bool | None = None, **parameters: str) -> StreamRequest:
    lines = LineParameters.model_validate(parameters)
    return StreamRequest(Draft("demo"), lines, paired, KnownModel(chat_template=chat_template))


def read(body: bytes, size: int = 65_536, **request: Any) -> list[StoredText]:
    chunks = (body[i : i + size] for i in range(0, len(body), size))
    return list(read_texts(chunks, SETTINGS, stream(**request)))


def refused(body: bytes, **request: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        read(body, **request)
    return raised.value


def places(error: InvalidRequest) -> list[tuple[str, str]]:
    return [(place.pointer, place.detail) for place in error.errors]


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=16), st.integers(1, 200))
def test_texts_keep_their_order_however_the_stream_is_cut(texts: list[tuple[str, str]], size: int) -> None:
    body = lines(*({"domain": d, "text": t} for d, t in texts))
    assert read(body, size) == [StoredText(*text) for text in texts]


def test_domain_and_pair_may_be_omitted() -> None:
    assert read(lines({"text": "a"}, {"text": "b", "pair": "7", "domain": "cpp"})) == [
        StoredText("default", "a"),
        StoredText("cpp", "b", "7"),
    ]


def test_blank_lines_and_a_missing_last_line_break_change_nothing() -> None:
    assert read(b'\n{"text": "a"}\r\n \n{"text": "b"}') == [
        StoredText("default", "a"),
        StoredText("default", "b"),
    ]


def test_a_text_is_yielded_before_the_next_chunk_is_requested() -> None:
    requested = []

    def chunks() -> Iterator[bytes]:
        for line in (lines({"text": "a"}), lines({"text": "b"})):
            requested.append(line)
            yield line

    texts = read_texts(chunks(), SETTINGS, stream())
    assert next(texts).text == "a"
    assert len(requested) == 1


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        (b"[]", [("/2", 'line 2: must be an object such as {"domain": "cpp", "text": "int i;"}')]),
        (b'{"a": 1, "text": "b"}', [("/2/a", f"line 2: is not a known field; {FIELDS}. {OTHER_FIELDS}")]),
        (b"{}", [("/2/text", f"line 2: is missing: use one of text, token_ids, messages. {OTHER_FIELDS}")]),
        (
            b'{"token_ids": [1], "messages": []}',
            [("/2/token_ids", "line 2: must have only one of token_ids, messages")],
        ),
        (
            b'{"messages": [{"role": "user", "content": 1}]}',
            [("/2/messages/0/content", "line 2: must be a string")],
        ),
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
    assert places(refused(lines({"text": "a"}) + line + b"\n")) == errors


def test_a_line_that_is_not_json_is_refused_with_the_reason() -> None:
    (error,) = refused(b'{"text": \n').errors
    assert error.pointer == "/1"
    assert error.detail.startswith("line 1: is not JSON in UTF-8: Expecting value")


def test_after_the_first_error_no_text_is_yielded() -> None:
    texts = read_texts([lines({"text": "a"}, {}, {"text": "b"}, {"text": "c"})], SETTINGS, stream())
    assert next(texts).text == "a"
    with pytest.raises(InvalidRequest):
        next(texts)


def test_reading_stops_after_twenty_errors() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield lines({})

    with pytest.raises(InvalidRequest) as raised:
        list(read_texts(endless(), SETTINGS, stream()))
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
    line = lines({"domain": domain, "text": text, "pair": pair})
    assert read(line, 1000) == [StoredText(domain, text, pair)]


def test_the_forms_of_a_text_are_fields_of_a_line() -> None:
    body = lines({"token_ids": [5, 0], "domain": "a"}, {"messages": MESSAGES, "pair": "p"})
    assert read(body) == [
        StoredText("a", "[5,0]", None, "token_ids"),
        StoredText("default", '[{"role":"user","content":"a"}]', "p", "messages"),
    ]


def test_messages_for_a_model_without_chat_template_are_refused() -> None:
    body = lines({"text": "a"}, {"messages": MESSAGES})
    detail = "line 2: requires a chat template, which the model demo does not have: use text or token_ids"
    assert places(refused(body, chat_template=False)) == [("/2/messages", detail)]
    assert len(read(body, chat_template=True)) == len(read(body, chat_template=None)) == 2


@pytest.mark.parametrize(
    ("line", "parameters", "text"),
    [
        ({"text": "a", "label": 3, "id": 9}, {"domain": "label"}, ("3", "a", None)),
        ({"text": "a", "label": True}, {"domain": "label"}, ("true", "a", None)),
        ({"text": "a", "label": -1.5, "domain": "b"}, {"domain": "label"}, ("-1.5", "a", None)),
        ({"text": "a", "content": "b", "domain": 1}, {"text": "content"}, ("1", "b", None)),
        ({"text": "a", "pair": "p", "id": 9}, {"pair": "id"}, ("default", "a", "9")),
        ({"text": "a", "pair": "p"}, {"pair": "id"}, ("default", "a", None)),
        ({"text": "a", "pair": "p"}, {"domain": "text"}, ("a", "a", None)),
        ({"token_ids": [1], "label": "b"}, {"domain": "label"}, ("b", "[1]", None)),
    ],
)
def test_fields_can_be_named_and_the_others_are_ignored(
    line: dict[str, Any], parameters: dict[str, Any], text: tuple[str, str, str | None]
) -> None:
    assert [stored[:3] for stored in read(lines(line), **parameters)] == [text]


@pytest.mark.parametrize(
    ("line", "parameters", "error"),
    [
        ({"text": "a"}, {"domain": "label"}, ("/1/label", "line 1: is missing")),
        ({"text": "a"}, {"text": "content"}, ("/1/content", "line 1: is missing")),
        ({"content": 1}, {"text": "content"}, ("/1/content", "line 1: must be a string")),
        ({"text": "a", "label": None}, {"domain": "label"}, ("/1/label", "line 1: must be a string")),
        ({"text": "a", "id": [1]}, {"pair": "id"}, ("/1/id", "line 1: must be a string")),
    ],
)
def test_named_fields_are_checked(line: Any, parameters: dict[str, str], error: tuple[str, str]) -> None:
    assert places(refused(lines(line), **parameters)) == [error]


def test_a_number_that_is_no_domain_name_is_refused() -> None:
    (error,) = refused(lines({"text": "a", "label": 1e300}), domain="label").errors
    assert error.pointer == "/1/label"
    assert "is not a valid domain name" in error.detail


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({}, "the text is missing: use one of text, token_ids, messages"),
        ({"text": ""}, "the text is empty or contains only white space"),
        ({"text": " "}, "the text is empty or contains only white space"),
        ({"text": None}, "the text must be a string"),
        ({"text": "a\0"}, "the text contains a NUL character, which cannot be stored"),
        ({"text": "\ud800"}, "the text contains half of a surrogate pair, which is not a character"),
        ({"text": "b" * 101}, "the text exceeds the limit of 100 bytes of UTF-8"),
        ({"text": "b" * 4000}, "the text exceeds the limit of 100 bytes of UTF-8"),
        ({"token_ids": [1] * 60}, "the text exceeds the limit of 100 bytes of UTF-8"),
        ({"token_ids": [-1]}, "token_ids/0 is not a token id: use a whole number from 0 to 2147483647"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages/0/content must be a string"),
        (
            {"messages": MESSAGES},
            "the text requires a chat template, which the model demo does not have: use text or token_ids",
        ),
    ],
)
def test_an_invalid_text_fails_where_it_is_wanted(line: dict[str, Any], error: str) -> None:
    body = lines({"text": "a"}, {**line, "domain": "d", "pair": "p"}, {"text": "c"})
    before, failed, after = read(body, 1000, chat_template=False, on_invalid="fail")
    assert failed == StoredText("d", "", "p", None, error)
    assert (before.text, before.error, after.text) == ("a", None, "c")


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        (b"{", "/2"),
        (b"[]", "/2"),
        (b'{"text": "", "domain": "*"}', "/2/domain"),
        (b'{"text": "", "pair": 1}', "/2/pair"),
        (b'{"text": "", "id": 1}', "/2/id"),
    ],
)
def test_other_mistakes_of_a_line_are_always_refused(line: bytes, pointer: str) -> None:
    error = refused(lines({"text": "a"}) + line, on_invalid="fail")
    assert [place.pointer for place in error.errors] == [pointer]


def test_the_texts_of_paired_domains_are_counted_at_the_end() -> None:
    two, one = {"text": "a", "domain": "a"}, {"text": "b", "domain": "b"}
    assert len(read(lines(two, one), paired=True)) == 2
    error = refused(lines(two, two, one), paired=True)
    assert places(error) == [
        ("?paired", "requires the same number of texts in every domain: a has 2, b has 1")
    ]
    with_pairs = lines({**two, "pair": "p"}, two, {**one, "pair": "p"})
    assert len(read(with_pairs, paired=True)) == 3


def test_a_line_with_too_many_values_is_refused_before_they_are_built() -> None:
    line = b'{"text": "a", "x": [' + b"[]," * 130_000 + b"[]]}"
    with pytest.raises(LimitExceeded, match=r"Line 1 .*LAYERSCOPE_JSON_VALUES_LIMIT"):
        list(read_texts([line], Settings(), stream()))
