"""Invalid input gets the right answer, and nothing of it is kept."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.tables import Job
from tests.support.http.over_http import answered
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving

JSON = {"Content-Type": "application/json"}
HEAD = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "demo", "texts": {"cpp": ["a"]}} | changes


WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("an unknown field", body(text=["a"]), ["/text"]),
    ("an unknown field with marks of a pointer", body(**{"a/b~c": 1}), ["/a~1b~0c"]),
    ("what the service decides", body(owner="bob", id="x", status="succeeded"), ["/owner", "/id", "/status"]),
    ("an unknown option", body(options={"maxtokens": 1}), ["/options/maxtokens"]),
    ("no texts", {"model": "demo"}, ["/texts"]),
    ("null for texts", body(texts=None), ["/texts"]),
    ("a string for texts", body(texts="abc"), ["/texts"]),
    ("an empty object of texts", body(texts={}), ["/texts"]),
    ("an empty list of texts", body(texts=[]), ["/texts"]),
    ("an empty domain", body(texts={"cpp": [], "python": ["a"]}), ["/texts/cpp"]),
    ("a string for a domain's list", body(texts={"cpp": "abc"}), ["/texts/cpp"]),
    ("an object for a domain's list", body(texts={"cpp": {"0": "a"}}), ["/texts/cpp"]),
    ("a number for a text", body(texts={"cpp": ["a", 1]}), ["/texts/cpp/1"]),
    ("null for a text", body(texts=[None]), ["/texts/0"]),
    ("an empty text", body(texts={"cpp": ["a", ""]}), ["/texts/cpp/1"]),
    ("white space for a text", body(texts={"cpp": [" \n\t\u3000"]}), ["/texts/cpp/0"]),
    ("a NUL in a text", body(texts={"cpp": ["a\0b"]}), ["/texts/cpp/0"]),
    ("half a surrogate pair in a text", body(texts={"cpp": ["a\ud800"]}), ["/texts/cpp/0"]),
    ("the other half", body(texts={"cpp": ["\udc00a"]}), ["/texts/cpp/0"]),
    ("the reserved domain", body(texts={"*": ["a"]}), ["/texts/*"]),
    ("an unnamed domain", body(texts={"": ["a"]}), ["/texts/"]),
    ("a domain of 65 characters", body(texts={"d" * 65: ["a"]}), ["/texts/" + "d" * 65]),
    ("a blank in a domain", body(texts={"a b": ["a"]}), ["/texts/a b"]),
    ("a line break after a domain", body(texts={"a\n": ["a"]}), ["/texts/a\n"]),
    ("a letter beyond ASCII in a domain", body(texts={"é": ["a"]}), ["/texts/é"]),
    ("half a surrogate pair in a domain", body(texts={"\ud800": ["a"]}), ["/texts/?"]),
    ("an unknown model", body(model="gpt"), ["/model"]),
    ("a number for a model", body(model=1), ["/model"]),
    ("no model where there are two", {"texts": ["a"]}, ["/model"]),
    ("an empty name", body(name=""), ["/name"]),
    ("a blank name", body(name="  "), ["/name"]),
    ("a name of 101 characters", body(name="n" * 101), ["/name"]),
    ("a line break in a name", body(name="a\r\nSet-Cookie: b"), ["/name"]),
    ("a NUL in a name", body(name="a\0"), ["/name"]),
    ("half a surrogate pair in a name", body(name="\ud800"), ["/name"]),
    ("options of another shape", body(options=[]), ["/options"]),
    ("no tokens", body(options={"max_tokens": 0}), ["/options/max_tokens"]),
    ("a fraction of a token", body(options={"max_tokens": 1.5}), ["/options/max_tokens"]),
    ("tokens in words", body(options={"max_tokens": "5"}), ["/options/max_tokens"]),
    ("truth for tokens", body(options={"max_tokens": True}), ["/options/max_tokens"]),
    ("more tokens than can be stored", body(options={"max_tokens": 2**31}), ["/options/max_tokens"]),
    ("no window", body(options={"window": 0}), ["/options/window"]),
    ("a window beyond the limit", body(options={"max_tokens": 5, "window": 6}), ["/options/window"]),
    (
        "domains of different sizes",
        body(texts={"a": ["x"], "b": ["x", "y"]}, options={"paired": True}),
        ["/options/paired"],
    ),
    ("truth in words", body(options={"paired": "yes"}), ["/options/paired"]),
    ("pairs of one domain", body(options={"paired": True}), ["/options/paired"]),
    ("unknown analysis", body(options={"analyses": ["patching"]}), ["/options/analyses/0"]),
    ("analysis twice", body(options={"analyses": ["ablation", "ablation"]}), ["/options/analyses"]),
    (
        "analysis without block",
        body(options={"analyses": ["activations"], "components": ["mlp"]}),
        ["/options/analyses"],
    ),
    ("no text to analyse", body(options={"analysis_texts": 0}), ["/options/analysis_texts"]),
    ("too many to analyse", body(options={"analysis_texts": 1025}), ["/options/analysis_texts"]),
    ("another overflow", body(options={"overflow": "split"}), ["/options/overflow"]),
    ("no components", body(options={"components": []}), ["/options/components"]),
    ("a component twice", body(options={"components": ["mlp", "mlp"]}), ["/options/components"]),
    ("an unknown component", body(options={"components": ["mlp", "head"]}), ["/options/components/1"]),
    (
        "several errors",
        body(model="gpt", texts={"a b": ["a"], "cpp": [1]}),
        ["/texts/a b", "/texts/cpp/0", "/model"],
    ),
]

NOT_JSON: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("half an object", b'{"model": "demo", "texts": ['),
    ("a comma too many", b'{"texts": ["a"],}'),
    ("NaN", b'{"texts": ["a"], "options": {"max_tokens": NaN}}'),
    ("infinity", b'{"texts": ["a"], "options": {"max_tokens": -Infinity}}'),
    ("bytes that are not UTF-8", b'{"texts": ["\xff"]}'),
    ("UTF-16", '{"texts": ["a"]}'.encode("utf-16")),
    ("a control character in a string", b'{"texts": ["a\nb"]}'),
    ("an array", b"[]"),
    ("a string", b'"texts"'),
    ("null", b"null"),
    ("a number of 5000 digits", b'{"texts": ["a"], "options": {"max_tokens": ' + b"9" * 5000 + b"}}"),
    ("a name twice", b'{"model": "demo", "texts": {"cpp": ["a"], "cpp": ["b"]}}'),
    ("arrays 10,000 deep", b"[" * 10_000 + b"]" * 10_000),
    ("objects 10,000 deep", b'{"texts":' * 10_000 + b"1" + b"}" * 10_000),
    ("17 levels", b'{"texts": ' + b"[" * 16 + b"]" * 16 + b"}"),
]


@pytest.fixture(autouse=True)
def nothing_is_kept(sessions: sessionmaker[Session]) -> Iterator[None]:
    yield
    with sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


@pytest.mark.parametrize(("wrong", "pointers"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_an_invalid_request_is_answered_with_the_invalid_places(
    api: httpx.Client, wrong: dict[str, Any], pointers: list[str]
) -> None:
    answer = api.post("/v1/jobs", content=json.dumps(wrong), headers=JSON)
    problem = answer.json()
    assert answer.status_code == 422, problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert problem["type"] == "urn:layerscope:problem:invalid-request"
    assert all(error["detail"] for error in problem["errors"])
    assert problem["detail"].startswith(f"{pointers[0]}: {problem['errors'][0]['detail']}.")


@pytest.mark.parametrize("options", [None, [], "paired"])
def test_options_of_another_type_are_described_in_terms_of_json(api: httpx.Client, options: Any) -> None:
    (error,) = api.post("/v1/jobs", json=body(options=options)).json()["errors"]
    assert error == {"pointer": "/options", "detail": "must be an object"}


def test_domains_with_different_numbers_of_texts_are_named(api: httpx.Client) -> None:
    texts = {"a": ["x"], "b": ["x"], "c": ["x", "y"], "d": ["x", "y", "z"]}
    (error,) = api.post("/v1/jobs", json=body(texts=texts, options={"paired": True})).json()["errors"]
    expected = "requires the same number of texts in every domain: a has 1, c has 2"
    assert error["detail"] == expected


@pytest.mark.parametrize("content", [case[1] for case in NOT_JSON], ids=[case[0] for case in NOT_JSON])
def test_a_body_that_is_not_a_json_object_is_refused_quickly(api: httpx.Client, content: bytes) -> None:
    started = time.process_time()  # the service runs in this process; other processes do not count
    answer = api.post("/v1/jobs", content=content, headers=JSON)
    assert time.process_time() - started < 1
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:layerscope:problem:invalid-request"


def test_a_repeated_name_is_named(api: httpx.Client) -> None:
    answer = api.post("/v1/jobs", content=b'{"texts": {"a/b": ["x"], "a/b": ["y"]}}', headers=JSON)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/texts/a~1b"]


def test_twenty_errors_are_listed_and_the_others_are_counted(api: httpx.Client) -> None:
    problem = api.post("/v1/jobs", json=body(texts={"cpp": [1] * 50})).json()
    assert [error["pointer"] for error in problem["errors"]] == [f"/texts/cpp/{i}" for i in range(20)]
    assert "50 errors" in problem["detail"]
    assert "30 more" in problem["detail"]


def test_very_many_unknown_names_are_refused_quickly_with_a_short_answer(api: httpx.Client) -> None:
    names = json.dumps({"n" * 1_000_000: 0} | {f"{i:x}": 0 for i in range(200_000)})
    started = time.process_time()
    answer = api.post("/v1/jobs", content=names, headers=JSON)
    assert time.process_time() - started < 5  # 2 s on a busy machine
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_of_another_type_is_answered_with_the_header_to_send(
    api: httpx.Client, headers: dict[str, str]
) -> None:
    answer = api.post("/v1/jobs", content=json.dumps(body()), headers=headers)
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    if "Content-Encoding" not in headers:
        assert "Content-Type: application/json" in answer.json()["detail"]


LIMITS = [
    ("body_limit_bytes", 100, body(texts=["a" * 100])),
    ("text_limit_bytes", 10, body(texts={"cpp": ["a", "é" * 6]})),
    ("texts_per_job_limit", 2, body(texts={"cpp": ["a", "b"], "python": ["c"]})),
    ("domains_per_job_limit", 2, body(texts={"a": ["a"], "b": ["b"], "c": ["c"]})),
]


@pytest.mark.parametrize(("setting", "limit", "over"), LIMITS, ids=[case[0] for case in LIMITS])
def test_a_request_over_a_limit_is_answered_with_the_limit(
    settings: Settings, setting: str, limit: int, over: dict[str, Any]
) -> None:
    with serving(settings.model_copy(update={setting: limit})) as url:
        answer = httpx.post(f"{url}/v1/jobs", json=over)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:layerscope:problem:limit-exceeded"
    assert f"LAYERSCOPE_{setting.upper()}" in answer.json()["detail"]
    assert str(limit) in answer.json()["detail"]


def test_the_text_over_the_limit_is_pointed_at(settings: Settings) -> None:
    with serving(settings.model_copy(update={"text_limit_bytes": 10})) as url:
        answer = httpx.post(f"{url}/v1/jobs", json=body(texts={"cpp": ["a" * 10, "a" * 11]}))
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/texts/cpp/1"]


def test_a_body_of_unknown_length_is_not_read_beyond_the_limit(api: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 2**20

    assert api.post("/v1/jobs", content=endless(), headers=JSON).status_code == 413


def test_a_body_whose_header_announces_too_much_is_refused_before_it_arrives(
    api: httpx.Client, api_url: str
) -> None:
    address = urlsplit(api_url)
    head = f"{HEAD}Content-Length: 4000000000\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_an_interrupted_body_is_not_logged_as_a_failure_of_the_service(
    api: httpx.Client, api_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(api_url)
    head = f"{HEAD}Content-Length: 10\r\n\r\n{{"
    before = answered(api, 400)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode())
    wait_for(lambda: answered(api, 400) == before + 1)
    assert not caplog.records


def test_the_type_is_checked_before_the_size(api: httpx.Client) -> None:
    answer = api.post("/v1/jobs", content=b" " * (33 * 2**20), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
