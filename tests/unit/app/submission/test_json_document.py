"""A JSON document is read as it was sent, or refused at its places."""

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
from tests.support.submissions import JSON, NAMES, TEXTS

SETTINGS = Settings(text_limit_bytes=100, texts_per_job_limit=50, domains_per_job_limit=16)


def read(request: Any, models: dict[str, int | None] | None = None) -> tuple[Draft, list[PostedText]]:
    return read_submission(json.dumps(request).encode(), None, models or {"demo": None}, SETTINGS)


def pointers(request: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        read(request)
    return [error.pointer for error in refused.value.errors]


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


def test_the_only_model_need_not_be_named() -> None:
    assert read({"texts": ["a"]})[0].model == "demo"


def test_the_draft_is_the_request_without_its_texts() -> None:
    request = {"model": "demo", "name": "n", "texts": ["a"], "options": {"components": ["mlp", "block"]}}
    draft, _ = read_submission(json.dumps(request).encode(), "key", {"demo": None}, SETTINGS)
    options = Options.model_validate({"components": ["block", "mlp"]}).model_dump(mode="json")
    assert draft == Draft("demo", "n", options, "key")


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        (None, ["/texts"]),
        ("abc", ["/texts"]),
        ({}, ["/texts"]),
        ([], ["/texts"]),
        ({"cpp": [], "python": ["a"]}, ["/texts/cpp"]),
        ({"cpp": "abc"}, ["/texts/cpp"]),
        ({"a b": ["a", 1]}, ["/texts/a b", "/texts/a b/1"]),
    ],
)
def test_invalid_texts_are_refused_at_their_places(texts: Any, where: list[str]) -> None:
    assert pointers({"texts": texts}) == where


def test_errors_of_fields_texts_model_and_options_are_reported_together_in_this_order() -> None:
    options = {"paired": True, "analyses": ["ablation"], "components": ["mlp"]}
    request = {"model": "gpt", "field": 0, "texts": {"cpp": [""]}, "options": options}
    assert pointers(request) == ["/field", "/texts/cpp/0", "/model", "/options/analyses", "/options/paired"]


@pytest.mark.parametrize("body", [b"[]", b'"texts"', b"null"])
def test_other_json_than_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^The body must be a JSON object\.$"):
        read_submission(body, None, {"demo": None}, SETTINGS)


def test_what_is_not_strict_json_is_refused_at_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_submission(b'{"texts": {"a": ["x"], "a": ["y"]}}', None, {"demo": None}, SETTINGS)
    assert refused.value.detail == "/texts/a: occurs more than once in its object."
    with pytest.raises(InvalidRequest, match=r"^The body is not JSON in UTF-8: Expecting value"):
        read_submission(b"", None, {"demo": None}, SETTINGS)


@pytest.mark.parametrize("text", ["a" * 101, "é" * 51, "\U0001f300" * 26])
def test_texts_are_limited_in_bytes(text: str) -> None:
    with pytest.raises(LimitExceeded, match="LAYERSCOPE_TEXT_LIMIT_BYTES"):
        read({"texts": [text]})
    assert read({"texts": [text[:-1]]})


@pytest.mark.parametrize(
    ("texts", "setting"),
    [
        (["a"] * 51, "LAYERSCOPE_TEXTS_PER_JOB_LIMIT"),
        ({f"d{i}": ["a"] for i in range(17)}, "LAYERSCOPE_DOMAINS_PER_JOB_LIMIT"),
    ],
)
def test_numbers_of_texts_and_domains_are_limited(texts: Any, setting: str) -> None:
    with pytest.raises(LimitExceeded, match=setting):
        read({"texts": texts})
