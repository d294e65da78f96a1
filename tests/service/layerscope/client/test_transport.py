"""Requests are repeated where that is safe, and only there."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from layerscope import Client
from layerscope.client.errors import (
    JobFinishedError,
    ServiceUnreachableError,
    TooBusyError,
    UnexpectedAnswerError,
)
from tests.support.http.faulty_proxy import CUT, DROP, LOSE_ANSWER, Proxy, faulty_proxy
from tests.support.jobs.finished_job import finished_job

Sessions = sessionmaker[Session]


@pytest.fixture
def proxy(api: httpx.Client) -> Iterator[Proxy]:
    with faulty_proxy(str(api.base_url)) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with Client(proxy.url) as opened:
        yield opened


@pytest.mark.parametrize("fault", [DROP, LOSE_ANSWER, (503, "0"), (429, "0"), (503, None)], ids=str)
@pytest.mark.parametrize("texts", [["a"], (text for text in ["a"])], ids=["document", "stream"])
def test_a_submission_is_repeated_and_creates_one_job(
    client: Client, proxy: Proxy, api: httpx.Client, fault: object, texts: list[str]
) -> None:
    proxy.faults = [fault]
    job = client.submit(list(texts) if isinstance(texts, list) else iter(["a"]), model="demo")
    first, second = proxy.requests
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"]
    assert first[3] == second[3]
    assert [found["id"] for found in api.get("/v1/jobs").json()["data"]] == [job.id]


def test_two_submissions_have_two_keys(client: Client, proxy: Proxy) -> None:
    assert client.submit(["a"], model="demo").id != client.submit(["a"], model="demo").id
    first, second = proxy.requests
    assert first[2]["Idempotency-Key"] != second[2]["Idempotency-Key"]


def test_the_pause_is_the_one_that_the_service_requests(client: Client, proxy: Proxy) -> None:
    proxy.faults = [(503, "1")]
    started = time.monotonic()
    client.models()
    assert 1 <= time.monotonic() - started < 10


def test_the_number_of_attempts_is_limited(client: Client, proxy: Proxy) -> None:
    proxy.faults = [(503, "0")] * 20
    with pytest.raises(TooBusyError, match=r"Busy\.") as raised:
        client.models()
    assert raised.value.retry_after == 0
    assert len(proxy.requests) == 4


def test_a_long_pause_is_left_to_the_caller(client: Client, proxy: Proxy) -> None:
    proxy.faults = [(429, "3600")]
    with pytest.raises(TooBusyError) as raised:
        client.models()
    assert raised.value.retry_after == 3600
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("fault", [DROP, LOSE_ANSWER])
def test_a_change_that_may_have_been_made_is_not_repeated(
    client: Client, proxy: Proxy, api: httpx.Client, fault: str
) -> None:
    job = client.submit(["a"], model="demo")
    proxy.requests.clear()
    proxy.faults = [fault]
    with pytest.raises(ServiceUnreachableError):
        job.cancel()
    assert len(proxy.requests) == 1
    if fault == LOSE_ANSWER:
        with pytest.raises(JobFinishedError):
            job.cancel()


def test_an_unreachable_service_is_an_error_after_a_short_time() -> None:
    started = time.monotonic()
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(ServiceUnreachableError, match="`layerscope up`"),
    ):
        client.models()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://[::1", ""])
def test_an_address_is_checked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSCOPE_SERVER", "not an address")
    with pytest.raises(ServiceUnreachableError, match="is not an address"):
        Client(url)


def test_the_address_may_be_in_the_environment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSCOPE_SERVER", proxy.url + "/")
    with Client() as client:
        assert client.url == proxy.url
        assert "demo" in [model.name for model in client.models()]


def test_another_server_is_recognised(api_url: str) -> None:
    with Client(f"{api_url}/static/page.css?x=") as client, pytest.raises(UnexpectedAnswerError):
        client.models()


def test_no_proxy_is_used_for_this_machine(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Client(api_url) as client:
        client.models()


def test_an_interrupted_download_is_continued(
    client: Client, proxy: Proxy, sessions: Sessions, api: httpx.Client, tmp_path: Path
) -> None:
    job = client.get(str(finished_job(sessions).id))
    proxy.requests.clear()
    proxy.faults = [CUT]
    path = job.download("results.csv", tmp_path)
    assert path == tmp_path / "results.csv"
    assert path.read_bytes() == api.get(f"/v1/jobs/{job.id}/results.csv").content
    assert [headers.get("Range") for _, _, headers, _ in proxy.requests] == [None, "bytes=1000-"]
    assert proxy.requests[1][2]["If-Range"].startswith('"')


def test_a_download_that_fails_leaves_the_older_file(
    client: Client, proxy: Proxy, sessions: Sessions, tmp_path: Path
) -> None:
    job = client.get(str(finished_job(sessions).id))
    (tmp_path / "results.csv").write_text("older")
    proxy.faults = [CUT, (404, None)]
    with pytest.raises(TooBusyError):
        job.download("results.csv", tmp_path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("results.csv", "older")]


def test_a_stream_of_texts_is_sent_compressed(client: Client, proxy: Proxy) -> None:
    client.submit({"cpp": iter(["int i;"] * 5)}, model="demo", window=1, analyses=("ablation",))
    ((method, path, headers, body),) = proxy.requests
    assert (method, path) == ("POST", "/v1/jobs?model=demo&window=1&analyses=ablation")
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/x-ndjson", "gzip")
    assert body.startswith(b"\x1f\x8b")


def test_a_document_has_the_options(client: Client, proxy: Proxy) -> None:
    client.submit(["int i;"], model="demo", name="n", components=("block",))
    assert json.loads(proxy.requests[0][3]) == {
        "model": "demo",
        "name": "n",
        "options": {"components": ["block"]},
        "texts": ["int i;"],
    }
