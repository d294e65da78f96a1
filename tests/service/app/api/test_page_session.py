"""Signing in to the web page with a key, and out again."""

from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.settings import Settings
from app.tables import KeyScope
from tests.support.audit_lines import audit_lines
from tests.support.http.keys import bearer, new_key
from tests.support.jobs.jobs_by_hand import submit
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
COOKIE = "layerscope_session"


@pytest.fixture
def key(sessions: Sessions) -> str:
    return new_key(sessions, "alice")


@pytest.fixture
def page(settings: Settings, key: str) -> Iterator[httpx.Client]:
    """A browser without a session, for a service with keys."""
    with (
        serving(settings.model_copy(update={"sweep_seconds": 3600})) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


def sign_in(page: httpx.Client, key: str, **headers: str) -> httpx.Response:
    return page.post("/session", data={"key": key}, headers=headers)


def cookie_of(answer: httpx.Response) -> "SimpleCookie":
    return SimpleCookie(answer.headers["Set-Cookie"])


@pytest.mark.parametrize("path", ["/", "/jobs/x"])
def test_without_a_session_a_page_asks_for_a_key(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert '<form class="card" method="post" action="/session">' in answer.text
    assert "New job" not in answer.text


def test_a_key_opens_a_session(page: httpx.Client, key: str, sessions: Sessions) -> None:
    answer = sign_in(page, key)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = cookie_of(answer)[COOKIE]
    assert cookie.value != key
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "strict"
    assert not cookie["secure"]
    assert (cookie["max-age"], cookie["path"]) == ("43200", "/")
    home = page.get("/")
    assert home.status_code == 200
    assert "alice (write)" in home.text
    assert page.get("/v1/jobs").status_code == 200
    assert page.post("/v1/jobs", json={"model": "demo", "texts": ["a"]}).status_code == 202


def test_behind_https_the_cookie_is_sent_over_https_only(page: httpx.Client, key: str) -> None:
    answer = sign_in(page, key, **{"X-Forwarded-Proto": "https"})
    assert cookie_of(answer)[COOKIE]["secure"] is True


@pytest.mark.parametrize("given", ["", "ls_unknown", "ls_" + "A" * 43, "\x00\xff"])
def test_an_invalid_key_opens_no_session(page: httpx.Client, given: str) -> None:
    answer = sign_in(page, given)
    assert answer.status_code == 401
    assert "The key is unknown, expired or revoked." in answer.text
    assert "Set-Cookie" not in answer.headers
    assert "ls_unknown" not in answer.text


def test_blanks_around_a_pasted_key_do_not_matter(page: httpx.Client, key: str) -> None:
    assert sign_in(page, f" {key}\n").status_code == 303


def test_a_form_without_a_key_or_too_long_is_refused(page: httpx.Client) -> None:
    assert page.post("/session").status_code == 401
    assert page.post("/session", data={"key": "a" * 5000}).status_code == 413


def test_signing_out_ends_the_session(page: httpx.Client, key: str) -> None:
    sign_in(page, key)
    stolen = page.cookies[COOKIE]
    answer = page.post("/session/end")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert page.cookies.get(COOKIE) is None
    assert page.get("/").status_code == 401
    assert page.get("/", headers={"Cookie": f"{COOKIE}={stolen}"}).status_code == 401


def test_a_key_cannot_be_revoked_by_signing_out(page: httpx.Client, key: str) -> None:
    with audit_lines() as lines:
        page.post("/session/end", headers={"Cookie": f"{COOKIE}={key}"})
    assert lines == []
    assert page.get("/v1/jobs", headers=bearer(key)).status_code == 200


def test_a_foreign_page_can_neither_sign_in_nor_out(page: httpx.Client, key: str) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    assert sign_in(page, key, **foreign).status_code == 403
    sign_in(page, key)
    assert page.post("/session/end", headers=foreign).status_code == 403
    assert page.get("/").status_code == 200


def test_a_reader_sees_no_buttons_that_its_key_does_not_allow(page: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, [("a", "b")], owner="bob")
    for scope, allowed in (("read", False), ("write", True)):
        sign_in(page, new_key(sessions, "bob", scope))
        assert ("New job" in page.get("/").text) == allowed
        assert ("Cancel" in page.get(f"/jobs/{job_id}").text) == allowed
        assert page.post("/session/end").status_code == 303


def test_the_job_of_another_owner_is_an_absent_page(page: httpx.Client, key: str, sessions: Sessions) -> None:
    job_id = submit(sessions, [("a", "b")], owner="bob")
    sign_in(page, key)
    answer = page.get(f"/jobs/{job_id}")
    assert answer.status_code == 404
    assert "This job does not exist" in answer.text


def test_without_keys_nobody_signs_in(api: httpx.Client) -> None:
    home = api.get("/")
    assert home.status_code == 200
    assert "Sign" not in home.text
    assert api.post("/session", data={"key": "ls_x"}).status_code == 401


def test_a_session_without_its_key_asks_again(page: httpx.Client, sessions: Sessions) -> None:
    with sessions.begin() as session:
        key_id, key = keys.create(session, "bob", KeyScope.READ, None)
    sign_in(page, key)
    with sessions.begin() as session:
        keys.revoke(session, key_id)
    assert page.get("/").status_code == 401
