"""Token ids, messages, parameters of streams and texts that fail, over HTTP and into the database."""

import gzip
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from app.tables import Job, LoadedModel, Text
from tests.support.jobs.jobs_by_hand import MEASURED_WITH

Sessions = sessionmaker[Session]
MESSAGES = [{"role": "user", "content": "é <s>"}]
NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def post(api: httpx.Client, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    return api.post(f"/v1/jobs?model=demo{query}", content=body, headers={**NDJSON, **headers})


def post_json(api: httpx.Client, texts: Any, **members: Any) -> httpx.Response:
    return api.post("/v1/jobs", json={"model": "demo", "texts": texts, **members})


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def stored(sessions: Sessions) -> list[tuple[Any, ...]]:
    with sessions() as session:
        columns = Text.domain, Text.text, Text.pair, Text.form, Text.error
        return [tuple(row) for row in session.execute(select(*columns).order_by(Text.ordinal))]


def no_jobs(sessions: Sessions) -> bool:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(Job)) == 0


@pytest.fixture
def without_template(sessions: Sessions) -> None:
    """A worker has reported that the demo model has no chat template."""
    facts = MEASURED_WITH | {"chat_template": False}
    with sessions.begin() as session:
        session.execute(insert(LoadedModel).values(name="demo", measured_with=facts))


EXPECTED = [
    ("cpp", "a", None, None, None),
    ("cpp", "[5,0]", "p", "token_ids", None),
    ("rust", '[{"role":"user","content":"é <s>"}]', "p", "messages", None),
]


def test_json_and_lines_store_the_same_texts(api: httpx.Client, sessions: Sessions) -> None:
    texts = {"cpp": ["a", {"token_ids": [5, 0], "pair": "p"}], "rust": [{"messages": MESSAGES, "pair": "p"}]}
    answer = post_json(api, texts)
    assert answer.status_code == 202
    assert answer.json()["options"]["paired"]
    assert stored(sessions) == EXPECTED
    api.delete(answer.json()["links"]["self"])
    flat: list[dict[str, Any]] = [
        {"text": "a"},
        {"token_ids": [5, 0], "pair": "p"},
        {"messages": MESSAGES, "pair": "p"},
    ]
    domains = ("cpp", "cpp", "rust")
    body = lines(*({**text, "domain": domain} for text, domain in zip(flat, domains, strict=True)))
    assert post(api, body).status_code == 202
    assert stored(sessions) == EXPECTED


def test_messages_for_a_model_without_chat_template_are_refused(
    api: httpx.Client, sessions: Sessions, without_template: None
) -> None:
    answer = post_json(api, {"cpp": ["a", {"messages": MESSAGES}]})
    assert (answer.status_code, pointers(answer)) == (422, ["/texts/cpp/1/messages"])
    assert "the model demo" in answer.json()["detail"]
    assert pointers(post(api, lines({"text": "a"}, {"messages": MESSAGES}))) == ["/2/messages"]
    assert no_jobs(sessions)
    assert post_json(api, ["a", {"token_ids": [1]}]).status_code == 202


def test_messages_for_a_model_that_no_worker_has_loaded_are_accepted(api: httpx.Client) -> None:
    assert post_json(api, [{"messages": MESSAGES}]).status_code == 202


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/jsonl", "application/jsonlines"])
def test_a_stream_has_three_names(api: httpx.Client, media_type: str) -> None:
    answer = post(api, lines({"text": "a"}), **{"Content-Type": f"{media_type}; charset=utf-8"})
    assert answer.status_code == 202


def test_the_answer_to_another_type_lists_the_accepted_ones(api: httpx.Client) -> None:
    answer = post(api, b"", **{"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.headers["Accept-Post"] == (
        "application/json, application/x-ndjson, application/jsonl, application/jsonlines, "
        "multipart/form-data"
    )


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_gzip_has_two_names(api: httpx.Client, encoding: str) -> None:
    body = gzip.compress(lines({"text": "a"}))
    assert post(api, body, **{"Content-Encoding": encoding}).status_code == 202


def test_the_options_of_a_stream_are_parameters(api: httpx.Client) -> None:
    query = "&window=64&analyses=ablation,logit_lens&max_tokens=100&overflow=fail&special_tokens=parse"
    options = post(api, lines({"text": "a"}), query + "&components=mlp,block&analysis_texts=3").json()[
        "options"
    ]
    in_json = {
        "max_tokens": 100,
        "overflow": "fail",
        "components": ["block", "mlp"],
        "window": 64,
        "paired": False,
        "analyses": ["ablation", "logit_lens"],
        "analysis_texts": 3,
        "special_tokens": "parse",
    }
    assert options == in_json
    assert post_json(api, ["a"], options=in_json).json()["options"] == in_json


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("&window=0", ["?window"]),
        ("&window=a", ["?window"]),
        ("&analyses=patching", ["?analyses"]),
        ("&model=demo", ["?model"]),
        ("&on_invalid=skip&overflow=split", ["?overflow", "?on_invalid"]),
        ("&paired=true", ["?paired"]),
    ],
)
def test_bad_parameters_are_named(
    api: httpx.Client, sessions: Sessions, query: str, where: list[str]
) -> None:
    answer = post(api, lines({"text": "a"}), query)
    assert (answer.status_code, pointers(answer)) == (422, where)
    assert no_jobs(sessions)


def test_the_fields_of_other_data_are_named(api: httpx.Client, sessions: Sessions) -> None:
    body = lines(
        {"content": "a", "label": 3, "id": 1, "extra": [None]},
        {"content": "b", "label": True, "id": 1, "text": 7},
    )
    assert post(api, body, "&text=content&domain=label&pair=id").status_code == 202
    assert stored(sessions) == [("3", "a", "1", None, None), ("true", "b", "1", None, None)]


def test_an_invalid_text_fails_where_it_is_wanted(api: httpx.Client, sessions: Sessions) -> None:
    body = lines({"text": "a"}, {"text": "\0"}, {"text": 7}, {}, {"token_ids": [True]}, {"text": "b"})
    refused = post(api, body)
    assert pointers(refused) == ["/2/text", "/3/text", "/4/text", "/5/token_ids/0"]
    assert no_jobs(sessions)
    answer = post(api, body, "&on_invalid=fail")
    assert answer.json()["progress"]["texts"] == 6
    errors = [error for *_, error in stored(sessions)]
    assert errors == [
        None,
        "the text contains a NUL character, which cannot be stored",
        "the text must be a string",
        "the text is missing: use one of text, token_ids, messages",
        "token_ids/0 is not a token id: use a whole number from 0 to 2147483647",
        None,
    ]


def test_a_large_text_fails_alone(api: httpx.Client, sessions: Sessions) -> None:
    body = lines({"text": "a" * 8_000_000, "domain": "large"}, {"text": "b"})
    assert post(api, body).status_code == 413
    assert post(api, body, "&on_invalid=fail").status_code == 202
    large, small = stored(sessions)
    assert large == ("large", "", None, None, "the text exceeds the limit of 1048576 bytes of UTF-8")
    assert small[-1] is None


def test_a_key_is_for_one_request_with_all_its_options(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    body = lines({"token_ids": [1, 2]})
    assert post(api, body, **key).status_code == 202
    assert post(api, body, **key).status_code == 200
    others = [
        (body, "&special_tokens=parse"),
        (body, "&on_invalid=fail"),
        (lines({"text": "[1,2]"}), ""),
        (lines({"token_ids": [1, 2], "pair": "p"}), ""),
    ]
    for other, query in others:
        assert post(api, other, query, **key).status_code == 422
    same = api.post("/v1/jobs", json={"model": "demo", "texts": [{"token_ids": [1, 2]}]}, headers=key)
    assert same.status_code == 200
