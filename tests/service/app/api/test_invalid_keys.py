"""A client that sends invalid keys is refused, and keeps nobody else from using or entering the service."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.access import authentication, keys
from app.access.authentication import REMEMBERED_SECONDS, Authentication
from app.access.request_rate import RequestRate
from app.errors import TooManyRequests, Unauthorized
from app.jobs.notifications import connect
from app.settings import Settings
from app.tables import KeyScope
from tests.support.databases.counting import statements
from tests.support.http.html_page import Page
from tests.support.http.keys import bearer, new_key
from tests.support.programs.serving import NO_TLS, serving

Sessions = sessionmaker[Session]
LIMIT = 3
UNKNOWN = bearer("ls_unknown")
COOKIE = {"Cookie": "layerscope_session=ls_unknown"}


@contextmanager
def limited(settings: Settings, **limits: int) -> Iterator[httpx.Client]:
    changed = {"sweep_seconds": 3600, "invalid_keys_per_minute": LIMIT, **limits}
    with (
        serving(settings.model_copy(update=changed)) as url,
        httpx.Client(base_url=url, verify=NO_TLS) as client,
    ):
        yield client


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with limited(settings) as opened:
        yield opened


def status(client: httpx.Client, key: str, **headers: str) -> int:
    return client.get("/v1/jobs", headers=bearer(key) | headers).status_code


def exceed(client: httpx.Client) -> None:
    assert [status(client, f"ls_{i}") for i in range(LIMIT + 1)] == [401] * LIMIT + [429]


def sign_in(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/session", data={"key": key})


def assert_names_the_limit(answer: httpx.Response, said: str, setting: str) -> None:
    assert answer.status_code == 429
    seconds = int(answer.headers["Retry-After"])
    assert 1 <= seconds <= 60
    assert f"LAYERSCOPE_{setting}" in said
    assert f"Try again in {seconds} s." in said


def test_invalid_keys_are_limited_wherever_they_are_sent(client: httpx.Client, sessions: Sessions) -> None:
    new_key(sessions, "alice")
    assert client.get("/v1/jobs", headers=UNKNOWN).status_code == 401
    assert client.get("/v1/jobs", headers=COOKIE).status_code == 401
    assert sign_in(client, "ls_unknown").status_code == 401
    for headers in (UNKNOWN, COOKIE):
        answer = client.get("/v1/jobs", headers=headers)
        assert_names_the_limit(answer, answer.json()["detail"], "INVALID_KEYS_PER_MINUTE")
        assert answer.json()["type"] == "urn:layerscope:problem:too-many-requests"
        assert "127.0.0.1 has sent more than 3 invalid keys" in answer.json()["detail"]
    assert client.get("/v1/jobs").status_code == 401


def test_signing_out_without_a_session_is_limited_too(client: httpx.Client, sessions: Sessions) -> None:
    new_key(sessions, "alice")
    statuses = [client.post("/session/end", headers=COOKIE).status_code for _ in range(LIMIT + 1)]
    assert statuses == [303] * LIMIT + [429]


def test_the_page_says_so_next_to_its_field(client: httpx.Client, sessions: Sessions) -> None:
    key = new_key(sessions, "alice")
    exceed(client)
    answer = sign_in(client, key)
    page = Page(answer.text)
    assert_names_the_limit(answer, page.text, "INVALID_KEYS_PER_MINUTE")
    in_form = [
        attributes.get("role") or attributes.get("name")
        for tag, attributes, ancestors in page.elements
        if "form" in ancestors and tag in ("input", "p")
    ]
    assert in_form == ["key", "alert"]
    assert "Set-Cookie" not in answer.headers


def test_keys_that_the_service_knows_are_not_limited(client: httpx.Client, sessions: Sessions) -> None:
    """Even if their users have the address of the client that sends invalid ones."""
    key = new_key(sessions, "alice")
    assert status(client, key) == 200
    exceed(client)
    time.sleep(REMEMBERED_SECONDS)
    assert status(client, key) == 200
    assert sign_in(client, key).status_code == 303
    assert status(client, new_key(sessions, "bob")) == 429  # it could be invalid


def test_other_addresses_are_not_limited(client: httpx.Client, sessions: Sessions) -> None:
    key = new_key(sessions, "alice")
    exceed(client)
    assert status(client, key, **{"X-Forwarded-For": "192.0.2.1"}) == 200


def test_ipv4_addresses_in_the_form_of_ipv6_are_limited_apart(
    client: httpx.Client, sessions: Sessions
) -> None:
    new_key(sessions, "alice")
    statuses = [status(client, "ls_x", **{"X-Forwarded-For": "::ffff:192.0.2.1"}) for _ in range(LIMIT + 1)]
    assert statuses == [401] * LIMIT + [429]
    assert status(client, "ls_x", **{"X-Forwarded-For": "::ffff:192.0.2.2"}) == 401


@pytest.mark.parametrize("address", ["2001:db8::{}", "not-an-address-{}"])
def test_addresses_that_one_client_may_have_are_limited_together(
    client: httpx.Client, sessions: Sessions, address: str
) -> None:
    new_key(sessions, "alice")
    statuses = [status(client, "ls_x", **{"X-Forwarded-For": address.format(i)}) for i in range(LIMIT + 1)]
    assert statuses == [401] * LIMIT + [429]
    assert status(client, "ls_x", **{"X-Forwarded-For": "2001:db8:0:1::1"}) == 401


def test_sessions_count_as_requests_of_the_owner(settings: Settings, sessions: Sessions) -> None:
    key = new_key(sessions, "alice")
    with limited(settings, owner_requests_per_minute=2) as client:
        assert [sign_in(client, key).status_code for _ in range(2)] == [303, 303]
        answer = sign_in(client, key)
        assert_names_the_limit(answer, answer.text, "OWNER_REQUESTS_PER_MINUTE")


Refused = Callable[[str | None], type[Exception] | None]


@pytest.fixture
def refused(sessions: Sessions, redis_url: str) -> Refused:
    """How a process answers a key."""
    limit = RequestRate(connect(redis_url), redis_url, LIMIT, "invalid keys", "invalid_keys_per_minute")
    process = Authentication(sessions, limit)

    def ask(key: str | None) -> type[Exception] | None:
        try:
            if process.remembered(key) is None:
                process.find(key, "192.0.2.1")
        except (TooManyRequests, Unauthorized) as error:
            return type(error)
        return None

    return ask


def test_beyond_the_limit_the_database_is_not_asked(
    refused: Refused, sessions: Sessions, engine: Engine
) -> None:
    new_key(sessions, "alice")
    for _ in range(LIMIT):
        assert refused("ls_x") is Unauthorized
    with statements(engine) as executed:
        assert refused("ls_x") is TooManyRequests
    assert not executed


def test_a_key_that_was_revoked_is_no_longer_known(
    refused: Refused, sessions: Sessions, engine: Engine
) -> None:
    with sessions.begin() as session:
        key_id, key = keys.create(session, "alice", KeyScope.READ, None)
    assert refused(key) is None
    with sessions.begin() as session:
        keys.revoke(session, key_id)
    time.sleep(REMEMBERED_SECONDS)
    assert [refused(key) for _ in range(LIMIT)] == [Unauthorized] * LIMIT
    with statements(engine) as executed:
        assert refused(key) is TooManyRequests
    assert not executed


def test_requests_without_a_key_ask_the_database_once_a_second(
    refused: Refused, sessions: Sessions, engine: Engine
) -> None:
    new_key(sessions, "alice")
    with statements(engine) as executed:
        for _ in range(20):
            assert refused(None) is Unauthorized
    assert len(executed) == 1
    time.sleep(REMEMBERED_SECONDS)
    with statements(engine) as executed:
        assert refused(None) is Unauthorized
    assert len(executed) == 1


def test_only_the_keys_that_were_used_last_are_known(
    refused: Refused, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "REMEMBERED_KEYS", 2)
    alice, bob, carol = (new_key(sessions, owner) for owner in ("alice", "bob", "carol"))
    assert [refused(key) for key in (alice, bob)] == [None, None]
    time.sleep(REMEMBERED_SECONDS)
    assert [refused(key) for key in (alice, carol)] == [None, None]
    for _ in range(LIMIT):
        refused("ls_x")
    time.sleep(REMEMBERED_SECONDS)
    assert [refused(key) for key in (alice, bob, carol)] == [None, TooManyRequests, None]
