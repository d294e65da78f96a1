"""Which requests need a key, and what the scope of a key allows."""

import logging
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import httpx
import psycopg
import pytest
from redis import Redis
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.coordination import CLOCK
from app.settings import Settings
from app.tables import ApiKey, Base, KeyScope
from tests.service.app.api.test_owners import ask, routes
from tests.support.databases.redis_contents import contents
from tests.support.http.keys import bearer, client_with, new_key
from tests.support.http.over_http import BODY, submit
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
NEVER = ("/health/live", "/health/ready")
TEXT = "canary-57d0"
SYSTEM = ("/metrics", "/docs", "/openapi.json")
INVALID: tuple[dict[str, str], ...] = (
    {},
    bearer("ls_unknown"),
    {"Authorization": "Basic bHM6"},
    {"Cookie": "layerscope_session=ls_unknown"},
)


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(settings.model_copy(update={"sweep_seconds": 3600})) as address:
        yield address


def protected(client: httpx.Client) -> list[tuple[str, str]]:
    return [(method, path) for method, path in routes(client) if path not in (*NEVER, *SYSTEM)]


def test_without_keys_no_key_is_needed(url: str, sessions: Sessions) -> None:
    with httpx.Client(base_url=url) as client:
        for method, path in protected(client):
            assert ask(client, method, path, uuid4()).status_code not in (401, 403)
        assert client.get("/v1/jobs", headers=bearer("ls_unknown")).status_code == 200


def test_as_soon_as_a_key_exists_every_request_needs_one(url: str, sessions: Sessions) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/v1/jobs").status_code == 200
        new_key(sessions, "alice")
        wait_for(client, 401)
        for method, path in protected(client):
            for headers in INVALID:
                answer = client.request(method, path.format(job_id=uuid4(), name="profile"), headers=headers)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert "ls_unknown" not in answer.text
        for path in (*NEVER, *SYSTEM, "/static/page.css"):
            assert client.get(path).status_code == 200


def wait_for(client: httpx.Client, status: int) -> None:
    """The requests that are sent a second after the change, or later, have this status."""
    changed = time.monotonic()
    while True:
        sent = time.monotonic()
        if client.get("/v1/jobs").status_code == status:
            return
        assert sent - changed < 1
        time.sleep(0.05)


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_each_scope_allows_its_methods(url: str, sessions: Sessions, scope: str) -> None:
    with client_with(url, new_key(sessions, "alice", scope)) as client:
        for method, path in protected(client):
            answer = ask(client, method, path, uuid4())
            assert answer.status_code != 401
            refused = scope == "read" and method != "GET"
            assert (answer.status_code == 403) == refused, (method, path)
            if refused:
                assert answer.json()["type"] == "urn:layerscope:problem:forbidden"
                assert "scope write" in answer.json()["detail"]
        assert client.head("/v1/jobs").status_code == 200


def test_the_description_lists_the_refusals(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            needs_key = path not in (*NEVER, *SYSTEM)
            assert ({"401", "403", "429"} <= operation["responses"].keys()) == needs_key
            assert ("security" in operation) == needs_key


def test_a_revoked_key_is_refused_within_a_second(url: str, sessions: Sessions) -> None:
    with sessions.begin() as session:
        key_id, key = keys.create(session, "alice", KeyScope.READ, None)
    with client_with(url, key) as client:
        assert client.get("/v1/jobs").status_code == 200
        with sessions.begin() as session:
            keys.revoke(session, key_id)
        wait_for(client, 401)


def test_an_expired_key_is_refused(url: str, sessions: Sessions) -> None:
    with client_with(url, new_key(sessions, "alice", lifetime=timedelta(days=1))) as client:
        assert client.get("/v1/jobs").status_code == 200
        with sessions.begin() as session:
            session.execute(update(ApiKey).values(expires_at=CLOCK))
        wait_for(client, 401)
        answer = client.get("/v1/jobs")
        assert answer.json()["type"] == "urn:layerscope:problem:unauthorized"
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_request_without_a_key_is_refused_before_its_body_arrives(url: str, sessions: Sessions) -> None:
    new_key(sessions, "alice")
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_the_system_pages_can_be_protected(settings: Settings, sessions: Sessions) -> None:
    key = new_key(sessions, "alice", "read")
    with serving(settings.model_copy(update={"protect_system": True})) as url:
        for path in SYSTEM:
            assert httpx.get(url + path).status_code == 401
            assert httpx.get(url + path, headers=bearer(key)).status_code == 200
        assert httpx.get(f"{url}/health/ready").status_code == 200


def test_no_key_and_no_text_is_in_redis_or_the_log_and_no_key_in_the_database(
    url: str, sessions: Sessions, database_url: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = new_key(sessions, "alice")
    with client_with(url, key) as client:
        submit(client, texts={"cpp": [TEXT]})
        assert client.post("/v1/jobs", json=BODY | {"texts": [TEXT], "model": "absent"}).status_code == 422
    assert httpx.get(f"{url}/v1/jobs", headers=bearer(key + "x")).status_code == 401
    with psycopg.connect(database_url) as connection:
        rows = [
            str(row)
            for table in Base.metadata.sorted_tables
            for row in connection.execute(f"select t::text from {table.name} t").fetchall()
        ]
    assert any("alice" in row for row in rows)
    assert any(TEXT in row for row in rows)
    stored = [value.decode("utf-8", "replace") for value in contents(redis)]
    assert any("worker.tasks.drain" in value for value in stored)
    logged = [record.getMessage() for record in caplog.records]
    assert logged
    secret = key.removeprefix("ls_")
    assert not [place for place in (*rows, *stored, *logged) if secret in place]
    assert not [place for place in (*stored, *logged) if TEXT in place]
