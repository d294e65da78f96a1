"""A submission is read as it was sent, or refused at its places."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, LimitExceeded
from app.jobs.store import Draft, PostedText
from app.schemas import Options
from app.settings import Settings
from app.submission.json_document import read_submission
from app.submission.strict_json import parse, pointer_to
from layerscope.names import COMPONENTS

SETTINGS = Settings(text_limit_bytes=100, texts_per_job_limit=50)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    str.strip
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


def read(request: Any, models: dict[str, int | None] | None = None) -> tuple[Draft, list[PostedText]]:
    return read_submission(json.dumps(request).encode(), None, models or {"demo": None}, SETTINGS)


@given(st.dictionaries(NAMES, st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=16))
def test_texts_keep_their_order_and_their_characters(texts: dict[str, list[str]]) -> None:
    _, pairs = read({"texts": texts})
    assert pairs == [(domain, text) for domain, members in texts.items() for text in members]


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_a_bare_list_is_one_domain(texts: list[str]) -> None:
    assert read({"texts": texts})[1] == [("default", text) for text in texts]


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for request in (value, {"texts": value}, {"texts": ["a"], "options": value}, {"texts": {"cpp": value}}):
        with suppress(InvalidRequest, LimitExceeded):
            draft, texts = read(request)
            assert texts
            assert draft.options.keys() == Options.model_fields.keys()


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_submission(body, None, {"demo": None}, SETTINGS)


@given(JSON)
def test_what_is_valid_is_parsed_as_the_standard_library_does(value: Any) -> None:
    assert parse(json.dumps(value).encode(), depth_limit=10_000) == value


@pytest.mark.parametrize(("depth", "is_read"), [(16, True), (17, False)])
def test_nesting_ends_at_the_limit(depth: int, is_read: bool) -> None:
    body = b"[" * depth + b"]" * depth
    if is_read:
        parse(body, depth_limit=16)
    else:
        with pytest.raises(InvalidRequest, match="nests too deep") as refused:
            parse(body, depth_limit=16)
        assert refused.value.errors[0].pointer == "/0" * 16


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_constants_of_other_languages_are_no_json(constant: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(b'{"a": ' + constant + b"}", depth_limit=16)
    assert refused.value.errors[0].detail == f"{constant.decode()} is no JSON value"


def test_an_endless_number_is_refused_in_our_words() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(b'{"a": ' + b"9" * 5000 + b"}", depth_limit=16)
    assert "5000 digits" in refused.value.errors[0].detail


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}', depth_limit=16) == {"a": 1}


@pytest.mark.parametrize(
    ("path", "pointer"),
    [((), ""), (("texts", "cpp", 17), "/texts/cpp/17"), (("a/b", "~"), "/a~1b/~0"), (("",), "/")],
)
def test_pointers_follow_rfc_6901(path: tuple[str | int, ...], pointer: str) -> None:
    assert pointer_to(*path) == pointer


@given(st.lists(st.sampled_from(COMPONENTS), min_size=1, unique=True))
def test_components_are_stored_in_one_order(components: list[str]) -> None:
    stored = Options.model_validate({"components": components}).components
    assert stored == [component for component in COMPONENTS if component in components]


def test_the_one_model_need_not_be_named() -> None:
    assert read({"texts": ["a"]})[0].model == "demo"


@pytest.mark.parametrize("text", ["a" * 101, "é" * 51, "\U0001f300" * 26])
def test_texts_are_limited_in_bytes(text: str) -> None:
    with pytest.raises(LimitExceeded, match="LAYERSCOPE_TEXT_LIMIT_BYTES"):
        read({"texts": [text]})
    assert read({"texts": [text[:-1]]})
