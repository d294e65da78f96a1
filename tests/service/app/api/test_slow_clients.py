"""Slow and many clients: each gets a clear answer, and none prevents others from being served."""

import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.api.limits.connections import limited_protocol
from app.settings import Settings
from app.tables import Text
from tests.support.http.over_http import BODY, submit
from tests.support.http.slow_clients import (
    LINE,
    answer_of,
    assert_healthy,
    assert_unanswered,
    connect,
    post_head,
    service,
)
from tests.support.programs.serving import NO_TLS


def test_45_stalled_uploads_do_not_block_others(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    with service(api_settings, tmp_path, body_seconds=8) as url, ExitStack() as stack:
        stalled = [stack.enter_context(connect(url)) for _ in range(45)]
        for connection in stalled:
            connection.sendall(post_head(1_000_000) + LINE)
        assert_healthy(url)
        with httpx.Client(base_url=url) as client:
            submit(client)
            assert client.get("/v1/jobs").json()["data"][0]["progress"]["texts"] == 3
        assert_unanswered(stalled)
        for connection in stalled:
            status, problem = answer_of(connection)
            assert (status, problem["type"]) == (408, "urn:layerscope:problem:body-timeout")
            assert "LAYERSCOPE_BODY_SECONDS" in str(problem["detail"])
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Text)) == 3
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_body_that_keeps_arriving_has_more_time(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        service(api_settings, tmp_path, body_seconds=1, body_bytes_per_second=100) as url,
        connect(url) as steady,
        connect(url) as slow,
    ):
        steady.sendall(post_head(40 * len(LINE)))
        slow.sendall(post_head(40 * len(LINE)))
        for _ in range(20):  # 140 bytes per second, for two seconds
            time.sleep(0.1)
            steady.sendall(2 * LINE)
        assert answer_of(steady)[0] == 202
        refused = b""
        while b"\r\n\r\n" not in refused:
            refused += slow.recv(65536)
        assert refused.startswith(b"HTTP/1.1 408")
        assert b"\r\nretry-after: " in refused.lower()


@pytest.mark.parametrize(
    ("limits", "kind", "setting"),
    [
        ({"uploads_limit": 2}, "application/x-ndjson", "LAYERSCOPE_UPLOADS_LIMIT"),
        ({"documents_limit_bytes": 2500}, "application/json", "LAYERSCOPE_DOCUMENTS_LIMIT_BYTES"),
    ],
)
def test_one_upload_too_many_is_told_to_come_back(
    api_settings: Settings,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    limits: dict[str, int],
    kind: str,
    setting: str,
) -> None:
    with service(api_settings, tmp_path, **limits) as url, connect(url) as one, connect(url) as two:
        for connection in (one, two):
            connection.sendall(post_head(1000, kind) + b" ")
        time.sleep(0.3)
        with httpx.Client(base_url=url) as client:
            answer = client.post("/v1/jobs", content=b" " * 1000, headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:layerscope:problem:too-busy")
            assert setting in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) >= 1
            one.close()
            time.sleep(0.3)
            assert client.post("/v1/jobs", json=BODY).status_code == 202


@pytest.mark.parametrize("half", [b"", b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_connection_without_a_request_is_closed(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, half: bytes
) -> None:
    with service(api_settings, tmp_path, header_seconds=1) as url, connect(url) as connection:
        started = time.monotonic()
        connection.sendall(half)
        time.sleep(0.5)
        connection.sendall(half and b"more")  # it does not start the time again
        with connection, suppress(ConnectionResetError):
            if half:
                status, problem = answer_of(connection)
                assert (status, problem["type"]) == (408, "urn:layerscope:problem:request-timeout")
                assert "LAYERSCOPE_HEADER_SECONDS" in str(problem["detail"])
            assert connection.recv(100) == b""
        assert 0.9 < time.monotonic() - started < 2.5


def test_a_connection_without_a_further_request_is_closed(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with service(api_settings, tmp_path, header_seconds=1) as url, connect(url) as connection:
        connection.sendall(ANSWERED)
        assert answered_bytes(connection).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert connection.recv(1) == b""
        assert time.monotonic() - started < 4  # the default of uvicorn is 5 s


def answered_bytes(connection: socket.socket) -> bytes:
    """A response with a JSON object."""
    received = b""
    while b"}" not in received:
        received += connection.recv(65536)
    return received


LONG = b"a" * 70_000
ANSWERED = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "problem_type"),
    [
        (b"GET /" + LONG, 431, "request-header-fields-too-large"),
        (b"GET / HTTP/1.1\r\nX-Long: " + LONG, 431, "request-header-fields-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 12_000, 431, "request-header-fields-too-large"),
        (b"not HTTP\r\n\r\n", 400, "bad-request"),
    ],
    ids=["URL", "header", "headers", "not HTTP"],
)
def test_what_is_not_a_request_gets_a_problem(
    api: httpx.Client, sent: bytes, status: int, problem_type: str
) -> None:
    with connect(str(api.base_url)) as connection:
        connection.sendall(sent)
        found, problem = answer_of(connection)
        assert (found, problem["type"]) == (status, f"urn:layerscope:problem:{problem_type}")
        assert connection.recv(1) == b""


def test_a_large_header_is_refused_after_other_requests(api: httpx.Client) -> None:
    with connect(str(api.base_url)) as connection:
        for request in (ANSWERED, ANSWERED.replace(b"Host", b"X: " + LONG[:60_000] + b"\r\nHost")):
            connection.sendall(request)
            assert answered_bytes(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /health/live HTTP/1.1\r\nX: " + LONG)
        assert answer_of(connection)[0] == 431


def test_idle_connections_make_room_for_others(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with service(api_settings, tmp_path, connections_limit=50) as url, ExitStack() as stack:
        idle = [stack.enter_context(connect(url)) for _ in range(120)]
        assert_healthy(url)
        closed = 0
        for connection in idle:
            connection.setblocking(False)
            try:
                closed += connection.recv(1) == b""
            except ConnectionResetError:
                closed += 1
            except BlockingIOError:
                pass
        assert 70 <= closed <= 75


UNREAD = b"GET /static/echarts/echarts.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF_FORM = b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nkey="


@pytest.mark.parametrize("sent", [UNREAD * 200, HALF_FORM, ANSWERED], ids=["unread", "half", "answered"])
def test_clients_that_keep_the_service_waiting_make_room_for_others(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, sent: bytes
) -> None:
    with service(api_settings, tmp_path, connections_limit=20) as url, ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(url)).sendall(sent)
            time.sleep(0.02)  # the request arrives before the next connection
        time.sleep(1)  # the buffers of the system are full
        assert_healthy(url)
        statuses = set()
        for _ in range(20):  # each new connection replaces the one that has kept the service waiting longest
            client = stack.enter_context(httpx.Client(base_url=url, verify=NO_TLS))
            statuses.add(client.get("/v1/jobs").status_code)
        assert 200 in statuses


def test_clients_that_wait_for_jobs_leave_connections_for_others(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with service(api_settings, tmp_path, connections_limit=20) as url, ExitStack() as stack:
        with httpx.Client(base_url=url) as client:
            path = f"/v1/jobs/{submit(client)['id']}/events"
        statuses = []
        for _ in range(25):
            connection = stack.enter_context(connect(url))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            statuses.append(int(connection.recv(12).split()[1]))
        assert statuses == [200] * 16 + [503] * 9
        assert_healthy(url)


def test_requests_in_progress_leave_connections_for_health_checks(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    list_jobs = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        service(api_settings, tmp_path, connections_limit=20) as url,
        ExitStack() as stack,
        sessions.begin() as session,
    ):
        session.execute(text("lock table job in access exclusive mode"))
        for _ in range(18):
            stack.enter_context(connect(url)).sendall(list_jobs)
        time.sleep(0.3)
        with connect(url) as connection:
            connection.sendall(list_jobs)
            status, problem = answer_of(connection)
        assert status == 503
        assert "LAYERSCOPE_CONNECTIONS_LIMIT" in str(problem["detail"])
        assert_healthy(url)


def test_every_connection_may_use_a_file(api_settings: Settings) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        protocol = limited_protocol(api_settings.model_copy(update={"connections_limit": 2000}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert protocol.limit == 412  # type: ignore[attr-defined]


def test_liveness_needs_no_thread(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, sessions: sessionmaker[Session]
) -> None:
    list_jobs = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with service(api_settings, tmp_path) as url, ExitStack() as stack, sessions.begin() as session:
        session.execute(text("lock table job in access exclusive mode"))
        for _ in range(50):  # more than there are threads
            stack.enter_context(connect(url)).sendall(list_jobs)
        time.sleep(0.3)
        assert_healthy(url)


def test_one_waiting_client_too_many_is_told_to_come_back(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with service(api_settings, tmp_path, waiting_limit=1) as url, httpx.Client(base_url=url) as client:
        path = f"/v1/jobs/{submit(client)['id']}"
        with client.stream("GET", f"{path}/events"):
            for address in (f"{path}?wait=5", f"{path}/events"):
                answer = client.get(address)
                assert (answer.status_code, answer.json()["type"]) == (503, "urn:layerscope:problem:too-busy")
                assert "LAYERSCOPE_WAITING_LIMIT" in answer.json()["detail"]
            assert client.get(path).status_code == 200
        client.post(f"{path}/cancel")
        assert client.get(f"{path}?wait=5").json()["status"] == "cancelled"
