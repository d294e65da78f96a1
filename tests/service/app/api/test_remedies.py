"""Requests that a new user sends by mistake: the error names the cause and the remedy."""

import json
from typing import Any

import httpx
import pytest

from tests.support.http.over_http import submit

DOCUMENT: dict[str, Any] = {"model": "demo", "texts": {"cpp": ["int i;"]}}
LINES = '{"domain": "cpp", "text": "int i;"}\n'
JSON, NDJSON = "application/json", "application/x-ndjson"
TO_UTF_8 = "iconv -f UTF-16 -t UTF-8 FILE"
OF_LINES = "?text=FIELD&domain=FIELD"


def refusal(api: httpx.Client, body: Any, media_type: str | None, query: str = "") -> tuple[int, str]:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = api.post(f"/v1/jobs{query}", content=content, headers=headers)
    problem = answer.json()
    return answer.status_code, " ".join([problem["detail"], *(of["detail"] for of in problem["errors"])])


@pytest.mark.parametrize(
    ("media_type", "remedy"),
    [
        ("text/csv", "Send CSV as a file in a form: curl -F file=@texts.csv."),
        ("text/plain", "Send a text file as a file in a form: curl -F file=@texts.txt."),
        ("application/vnd.apache.parquet", "curl -F file=@texts.parquet."),
        ("application/x-www-form-urlencoded", "curl -H 'Content-Type: application/json'."),
        (None, "curl -H 'Content-Type: application/json'."),
        ("application/xml", "curl -H 'Content-Type: application/json'."),
    ],
)
def test_an_unsupported_type_names_the_right_one(
    api: httpx.Client, media_type: str | None, remedy: str
) -> None:
    answer = api.post(
        "/v1/jobs", content="text\na\n", headers={} if media_type is None else {"Content-Type": media_type}
    )
    assert answer.status_code == 415
    assert remedy in answer.json()["detail"]


@pytest.mark.parametrize("media_type", ["application/jsonl", "application/jsonlines", NDJSON])
def test_every_name_of_lines_of_json_is_accepted(api: httpx.Client, media_type: str) -> None:
    answer = api.post("/v1/jobs?model=demo", content=LINES, headers={"Content-Type": media_type})
    assert answer.status_code == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("body", "media_type", "query"),
    [(json.dumps(DOCUMENT), JSON, ""), (LINES, NDJSON, "?model=demo")],
    ids=["document", "stream"],
)
def test_utf_16(api: httpx.Client, encoding: str, body: str, media_type: str, query: str) -> None:
    status, said = refusal(api, body.encode(encoding), media_type, query)
    assert status == 422
    assert f"is encoded in UTF-16. Convert it to UTF-8: {TO_UTF_8}" in said


def test_latin_1(api: httpx.Client) -> None:
    status, said = refusal(api, '{"texts": ["café"]}'.encode("latin-1"), JSON)
    assert status == 422
    assert "the byte 0xe9 at position 15 belongs to another encoding. Save it as UTF-8" in said


CASES = {
    "records": ({**DOCUMENT, "texts": [{"content": "a", "label": "cpp"}]}, JSON, "", OF_LINES),
    "records as files": ({**DOCUMENT, "texts": [{"text": "a", "label": "cpp"}]}, JSON, "", "curl -F file=@"),
    "a list": ([{"text": "a"}], JSON, "", 'must be a JSON object with the texts, such as {"texts": {'),
    "lines as a document": (2 * LINES, JSON, "", f"send the header 'Content-Type: {NDJSON}'"),
    "a document as lines": (DOCUMENT, NDJSON, "?model=demo", f"with the header 'Content-Type: {JSON}'"),
    "no texts": ({"model": "demo"}, JSON, "", "/texts: is required"),
    "text": ({"model": "demo", "text": ["a"]}, JSON, "", "did you mean texts?"),
    "a line without text": ('{"domain": "a"}', NDJSON, "?model=demo", f"name those to use: {OF_LINES}"),
    "content": ('{"content": "a"}', NDJSON, "?model=demo", f"name those to use: {OF_LINES}"),
    "a misspelt field": ('{"txt": "a"}', NDJSON, "?model=demo", "did you mean text?"),
    "a misspelt option": ({**DOCUMENT, "options": {"windw": 3}}, JSON, "", "did you mean window?"),
    "an option outside": ({**DOCUMENT, "window": 3}, JSON, "", '{"options": {"window": …}}'),
    "a parameter": (LINES, NDJSON, "?model=demo&max_token=3", "did you mean max_tokens?"),
    "a misspelt message": (
        {"model": "demo", "texts": [{"messages": [{"role": "a", "content": "b", "rol": "c"}]}]},
        JSON,
        "",
        "did you mean role?",
    ),
}


@pytest.mark.parametrize(("body", "media_type", "query", "remedy"), CASES.values(), ids=CASES)
def test_a_mistake_in_the_body(
    api: httpx.Client, body: Any, media_type: str, query: str, remedy: str
) -> None:
    status, said = refusal(api, body, media_type, query)
    assert status == 422
    assert remedy in said


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v1/jobs?statuss=queued", "did you mean status? The parameters are status, model, limit,"),
        ("GET", "/v1/jobs?page=2", "; the parameters are status, model, limit, cursor"),
        ("GET", "/v1/jobs/{id}?wiat=3", "did you mean wait? The parameters are wait"),
        ("GET", "/v1/jobs/{id}/events?wait=3", "is not a known parameter: there are none here"),
        ("GET", "/v1/jobs/{id}/results.csv?wait=3", "is not a known parameter: there are none here"),
        ("POST", "/v1/jobs/{id}/cancel?now=1", "is not a known parameter: there are none here"),
        ("DELETE", "/v1/jobs/{id}?force=1", "is not a known parameter: there are none here"),
        ("GET", "/v1/models?name=demo", "is not a known parameter: there are none here"),
    ],
)
def test_a_misspelt_parameter(api: httpx.Client, method: str, path: str, said: str) -> None:
    answer = api.request(method, path.format(id=submit(api)["id"]))
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_misspelt_field_of_a_form(api: httpx.Client) -> None:
    answer = api.post("/v1/jobs", files={"file": ("a.csv", b"text\na\n")}, data={"modle": "demo"})
    assert answer.status_code == 422
    assert "did you mean model?" in answer.json()["detail"]
