"""What a foreign web page could send is refused; programs are not affected."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.support.http.over_http import BODY, submit
from tests.support.programs.serving import serving

REBOUND = (
    "rebound.example",
    "rebound.example:8000",
    "127.0.0.1.example",
    "10.0.0.1",
    "localhost.example",
    "",
    "[",
)
OWN = ("127.0.0.1", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.2:1")


@pytest.mark.parametrize("host", REBOUND)
def test_a_rebound_name_is_refused(api: httpx.Client, host: str) -> None:
    for path in ("/", "/v1/jobs", "/metrics", "/nothing"):
        answer = api.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.json()["type"] == "urn:layerscope:problem:host-not-allowed"
        assert "LAYERSCOPE_ALLOWED_HOSTS" in answer.json()["detail"]
    assert api.post("/v1/jobs", json=BODY, headers={"Host": host}).status_code == 421
    assert api.get("/health/live", headers={"Host": host}).status_code == 200
    assert api.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize("host", OWN)
def test_loopback_names_are_accepted(api: httpx.Client, host: str) -> None:
    assert api.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.fixture
def configured(api_settings: Settings, database_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    names = {"allowed_hosts": ("layerscope.example", "10.0.0.1"), "home": tmp_path}
    with serving(api_settings.model_copy(update=names)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("layerscope.example", 200),
        ("Layerscope.Example:443", 200),
        ("10.0.0.1:8000", 200),
        ("other.example", 421),
    ],
)
def test_configured_names_are_accepted(configured: httpx.Client, host: str, status: int) -> None:
    assert configured.get("/v1/jobs", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("given", ["a.example, b.example", "a.example,b.example,"])
def test_the_setting_is_a_list_with_commas(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("LAYERSCOPE_ALLOWED_HOSTS", given)
    assert Settings().allowed_hosts == ("a.example", "b.example")


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[::1"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_changes_for_a_foreign_page_are_refused(api: httpx.Client, headers: dict[str, str]) -> None:
    job = submit(api)["id"]
    for method, path in (
        ("POST", "/v1/jobs"),
        ("POST", f"/v1/jobs/{job}/cancel"),
        ("DELETE", f"/v1/jobs/{job}"),
    ):
        answer = api.request(method, path, headers=headers, json=BODY if path == "/v1/jobs" else None)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:layerscope:problem:foreign-origin"
    (kept,) = api.get("/v1/jobs", headers=headers).json()["data"]
    assert (kept["id"], kept["status"]) == (job, "queued")


def test_changes_of_the_own_page_and_of_programs_are_accepted(api: httpx.Client) -> None:
    own = str(api.base_url).rstrip("/")
    for headers in (
        {},
        {"Origin": own},
        {"Origin": own, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert api.post("/v1/jobs", json=BODY, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "path", ["/", "/v1/jobs", "/v1/jobs/x", "/nothing", "/health/live", "/static/page.css", "/docs"]
)
def test_every_response_has_security_headers(api: httpx.Client, path: str) -> None:
    headers = api.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
