"""Clients that send slowly or not at all, and the question whether the service still serves others."""

import json
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.settings import Settings
from tests.support.programs.serving import NO_TLS, serving

HANG_SECONDS = 20  # a check that takes longer waits for the slow clients, also on a busy machine
LINE = b'{"text": "a"}\n'


@contextmanager
def service(settings: Settings, home: Path, **limits: float) -> Iterator[str]:
    with serving(settings.model_copy(update={"home": home, **limits})) as url:
        yield url


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=20)


def post_head(length: int, kind: str = "application/x-ndjson") -> bytes:
    return (
        f"POST /v1/jobs?{'model=demo' if 'nd' in kind else ''} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """The status and the problem object of the response."""
    received = b""
    while b"}" not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def assert_unanswered(connections: Sequence[socket.socket]) -> None:
    """What was checked before was checked while all of these clients kept the service waiting."""
    readable, _, _ = select.select(connections, [], [], 0)
    assert not readable


def assert_healthy(url: str, checks: int = 10) -> None:
    """Health checks are answered. How fast, on an idle machine: benchmarks and docs/security.md."""
    with httpx.Client(base_url=url, timeout=HANG_SECONDS, verify=NO_TLS) as client:
        for _ in range(checks):
            assert client.get("/health/live").status_code == 200
