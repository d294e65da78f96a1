"""A JSON document is read as it was sent, or refused at its places."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, LimitExceeded
from app.jobs.store import Draft, StoredText
from app.schemas import Options
from app.settings import Settings
from app.submission.json_document import read_submission
from app.submission.rules import KnownModel, KnownModels
from app.submission.text_values import RECORDS
from tests.support.jobs.submissions import JSON, NAMES, TEXTS

SETTINGS = Settings(text_limit_bytes=100, texts_per_job_limit=50, domains_per_job_limit=16)


def read(request: Any, models: KnownModels | None = None) -> tuple[Draft, list[StoredText]]:
    draft, texts = read_submission(
        json.dumps(request).encode(), None, models or {"demo": KnownModel()}, SETTINGS
    )
    return draft, list(texts)


def pointers(request: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        read(request)
    return [error.pointer for error in refused.value.errors]


@given(st.dictionaries(NAMES, st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=16))
def test_texts_keep_their_order_and_their_characters(texts: dict[str, list[str]]) -> None:
    _, stored = read({"texts": texts})
    assert stored == [StoredText(domain, text) for domain, members in texts.items() for text in members]


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_a_bare_list_is_one_domain(texts: list[str]) -> None:
    assert read({"texts": texts})[1] == [StoredText("default", text) for text in texts]


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
        read_submission(body, None, {"demo": KnownModel()}, SETTINGS)


def test_the_only_model_need_not_be_named() -> None:
    assert read({"texts": ["a"]})[0].model == "demo"


def test_the_draft_is_the_request_without_its_texts() -> None:
    request = {"model": "demo", "name": "n", "texts": ["a"], "options": {"components": ["mlp", "block"]}}
    draft, _ = read_submission(json.dumps(request).encode(), "key", {"demo": KnownModel()}, SETTINGS)
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
    with pytest.raises(InvalidRequest, match=r"^The body must be a JSON object with the texts, such as "):
        read_submission(body, None, {"demo": KnownModel()}, SETTINGS)


def test_what_is_not_strict_json_is_refused_at_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_submission(b'{"texts": {"a": ["x"], "a": ["y"]}}', None, {"demo": KnownModel()}, SETTINGS)
    assert refused.value.detail == "/texts/a: occurs more than once in its object."
    with pytest.raises(InvalidRequest, match=r"^The body is not JSON in UTF-8: Expecting value"):
        read_submission(b"", None, {"demo": KnownModel()}, SETTINGS)


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


MESSAGES = [{"role": "user", "content": "a"}]
FIELDS = "text, token_ids, messages, pair"
NOT_AN_ID = "is not a token id: use a whole number from 0 to 2147483647"
BLANK = "is empty or contains only white space"


def test_texts_have_three_forms_and_perhaps_a_pair() -> None:
    texts = ["a", {"text": "b"}, {"token_ids": [5, 0]}, {"messages": MESSAGES, "pair": "p"}]
    _, stored = read({"texts": {"cpp": texts, "rust": [{"text": "é", "pair": "p"}]}})
    assert stored == [
        StoredText("cpp", "a"),
        StoredText("cpp", "b"),
        StoredText("cpp", "[5,0]", None, "token_ids"),
        StoredText("cpp", '[{"role":"user","content":"a"}]', "p", "messages"),
        StoredText("rust", "é", "p"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "detail"),
    [
        (7, "", "must be a string, or an object with one of text, token_ids, messages"),
        ([1, 2], "", "must be a string, or an object with one of text, token_ids, messages"),
        ({}, "", "must have one of text, token_ids, messages"),
        ({"pair": "p"}, "", "must have one of text, token_ids, messages"),
        ({"text": "a", "messages": MESSAGES}, "", "must have only one of text, messages"),
        (
            {"text": "a", "id": 1},
            "/id",
            f"is not a known field; the fields are text, token_ids, messages, pair. {RECORDS}",
        ),
        ({"text": "a", "pair": 1}, "/pair", "must be a string"),
        ({"text": " "}, "/text", BLANK),
        ({"text": None}, "/text", "must be a string"),
        ({"token_ids": []}, "/token_ids", "is empty"),
        ({"token_ids": "1"}, "/token_ids", "must be a list of token ids"),
        (
            {"token_ids": [1, True]},
            "/token_ids/1",
            NOT_AN_ID,
        ),
        ({"token_ids": [-1]}, "/token_ids/0", NOT_AN_ID),
        ({"token_ids": [1.0]}, "/token_ids/0", NOT_AN_ID),
        ({"messages": []}, "/messages", "is empty"),
        ({"messages": [{"role": "user"}]}, "/messages/0", "has no content"),
        (
            {"messages": [*MESSAGES, {"role": "user", "content": "a\0"}]},
            "/messages/1/content",
            "contains a NUL character, which cannot be stored",
        ),
        (
            {"messages": [{"role": "user", "content": "\ud800"}]},
            "/messages/0/content",
            "contains half of a surrogate pair, which is not a character",
        ),
        (
            {"messages": [{"role": " ", "content": "a"}]},
            "/messages/0/role",
            "is empty or contains only white space",
        ),
        (
            {"messages": [{**MESSAGES[0], "tool": 1}]},
            "/messages/0/tool",
            "is not a known field; the fields are role, content",
        ),
    ],
)
def test_invalid_forms_are_refused_at_their_places(text: Any, where: str, detail: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({"texts": {"cpp": ["a", text]}})
    assert [(error.pointer, error.detail) for error in refused.value.errors] == [
        (f"/texts/cpp/1{where}", detail)
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ({"token_ids": [10] * 34}, "/token_ids"),
        ({"messages": [{"role": "user", "content": "é" * 40}]}, "/messages"),
    ],
)
def test_the_size_of_ids_and_messages_is_that_of_their_json(text: Any, where: str) -> None:
    with pytest.raises(LimitExceeded, match="LAYERSCOPE_TEXT_LIMIT_BYTES") as exceeded:
        read({"texts": [text]})
    assert [error.pointer for error in exceeded.value.errors] == [f"/texts/0{where}"]
    assert read({"texts": [{"token_ids": [10] * 33}]})  # 100 bytes


def test_messages_for_a_model_without_chat_template_are_refused() -> None:
    texts = {"cpp": ["a", {"messages": MESSAGES}], "rust": [{"token_ids": [1]}, {"messages": MESSAGES}]}
    with pytest.raises(InvalidRequest) as refused:
        read({"texts": texts}, {"demo": KnownModel(chat_template=False)})
    assert [error.pointer for error in refused.value.errors] == [
        "/texts/cpp/1/messages",
        "/texts/rust/1/messages",
    ]
    assert refused.value.errors[0].detail == (
        "requires a chat template, which the model demo does not have: use text or token_ids"
    )
    for known in (None, True):
        assert len(read({"texts": texts}, {"demo": KnownModel(chat_template=known)})[1]) == 4


def test_the_order_of_the_fields_of_a_message_does_not_matter() -> None:
    messages = [dict(reversed(message.items())) for message in MESSAGES]
    assert read({"texts": [{"messages": messages}]})[1] == read({"texts": [{"messages": MESSAGES}]})[1]


def test_pairs_replace_the_order_of_paired_texts() -> None:
    texts = {"cpp": [{"text": "a", "pair": "p"}, "b"], "rust": [{"text": "c", "pair": "p"}]}
    draft, _ = read({"texts": texts, "options": {"paired": True}})
    assert draft.options["paired"]


@pytest.mark.parametrize("value", ["Literal", "", None, 1, ["literal"]])
def test_special_tokens_are_literal_or_parsed(value: Any) -> None:
    assert pointers({"texts": ["a"], "options": {"special_tokens": value}}) == ["/options/special_tokens"]
    assert read({"texts": ["a"]})[0].options["special_tokens"] == "literal"
    parsed = read({"texts": ["a"], "options": {"special_tokens": "parse"}})[0]
    assert parsed.options["special_tokens"] == "parse"


@pytest.mark.parametrize(
    ("texts", "fits"),
    [(["ab"] * 20, True), (["a,b"] * 30, True), (["ab"] * 40, False), ([[], []], True), ([[]] * 4, False)],
)
def test_a_document_with_too_many_values_is_refused_before_it_is_parsed(texts: list[Any], fits: bool) -> None:
    settings = SETTINGS.model_copy(update={"json_values_limit": 50})
    body = json.dumps({"texts": texts}).encode()
    with pytest.raises(LimitExceeded if not fits else InvalidRequest) as refused:
        read_submission(body, None, {}, settings)
    assert ("LAYERSCOPE_JSON_VALUES_LIMIT" in refused.value.detail) == (not fits)
    assert fits or "send NDJSON" in refused.value.detail
