"""Errors are pages for browsers, and problem objects for programs."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from tests.support.http.html_page import POLICY, Page
from tests.support.http.keys import bearer, new_key
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
# As Firefox sends it.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = "/%3Cscript%3Ealert(1)%3C/script%3E"
PROBLEM = "application/problem+json"


NO_JOB = "01a21874-1023-78fa-9d97-3c1a27667768"


def page_of(answer: httpx.Response, status_code: int) -> Page:
    assert answer.status_code == status_code, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICY
    return Page(answer.text)


def is_problem(answer: httpx.Response) -> bool:
    return answer.headers["Content-Type"] == PROBLEM


@pytest.mark.parametrize("path", ["/nothing", "/jobs/", "/v2", HOSTILE])
def test_an_unknown_address_is_a_page_with_links(api: httpx.Client, database_url: str, path: str) -> None:
    page = page_of(api.get(path, headers=BROWSER), 404)
    assert {"/", "/jobs"} <= page.addresses()
    assert "There is nothing at" in page.text
    assert not page.all("script")


@pytest.mark.parametrize("path", ["/v1/nothing", f"/v1/jobs/{NO_JOB}", "/static/x", "/compare.csv?x=1"])
def test_calls_of_programs_get_problem_objects(api: httpx.Client, database_url: str, path: str) -> None:
    assert is_problem(api.get(path, headers=BROWSER))


@pytest.mark.parametrize("accept", ["*/*", "application/json", None])
def test_programs_get_problem_objects(api: httpx.Client, database_url: str, accept: str | None) -> None:
    answer = api.get("/nothing", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, is_problem(answer)) == (404, True)


def test_a_wrong_method_keeps_its_headers(api: httpx.Client, database_url: str) -> None:
    answer = api.delete("/jobs", headers=BROWSER)
    assert "supports GET and HEAD" in page_of(answer, 405).text
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/jobs?sort=<b>", "/?like=x", "/compare?axis=<b>", "/models?x=1"])
def test_an_invalid_query_is_a_page_with_its_errors(api: httpx.Client, database_url: str, path: str) -> None:
    page = page_of(api.get(path, headers=BROWSER), 422)
    assert f"?{path.split('?')[1].split('=')[0]}" in page.text
    assert not page.all("b")


def test_a_refused_form_is_a_page_with_its_errors(api: httpx.Client, database_url: str) -> None:
    fields = {"model": "demo", "pasted": "a text", "analysis_texts": "5000"}
    answer = api.post("/jobs/new", data=fields, files={"file": ("", b"")}, headers=BROWSER)
    assert "?analysis_texts" in page_of(answer, 422).text


@pytest.fixture
def with_keys(settings: Settings, sessions: Sessions) -> Iterator[httpx.Client]:
    new_key(sessions, "alice")
    with (
        serving(settings.model_copy(update={"sweep_seconds": 3600})) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/", "/jobs", "/models", "/compare", f"/jobs/{NO_JOB}"])
def test_without_a_key_every_page_is_the_one_for_signing_in(with_keys: httpx.Client, path: str) -> None:
    assert "Sign in" in page_of(with_keys.get(path, headers=BROWSER), 401).text


def test_a_form_that_is_sent_after_the_session_ended_asks_for_a_key(with_keys: httpx.Client) -> None:
    answer = with_keys.post("/jobs/new", data={"pasted": "a"}, files={"file": ("", b"")}, headers=BROWSER)
    assert "Sign in" in page_of(answer, 401).text
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_that_may_only_read_is_refused_on_a_page(with_keys: httpx.Client, sessions: Sessions) -> None:
    reader = BROWSER | bearer(new_key(sessions, "bob", "read"))
    answer = with_keys.post("/jobs/new", data={"pasted": "a"}, files={"file": ("", b"")}, headers=reader)
    assert "needs a key with the scope write" in page_of(answer, 403).text


def test_a_page_without_a_database_says_so(settings: Settings) -> None:
    away = {"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none", "sweep_seconds": 3600}
    with serving(settings.model_copy(update=away)) as url:
        answer = httpx.get(f"{url}/jobs", headers=BROWSER, timeout=60)
    assert "The database cannot be reached" in page_of(answer, 503).text
    assert answer.headers["Retry-After"]


def test_a_single_error_is_written_once(api: httpx.Client, database_url: str) -> None:
    page = page_of(api.get("/jobs?sort=x", headers=BROWSER), 422)
    assert page.text.count("is not a known parameter") == 1
    page = page_of(api.get("/jobs?sort=x&by=y", headers=BROWSER), 422)
    assert page.text.count("?by") == 1
    assert page.text.count("?sort") == 2
