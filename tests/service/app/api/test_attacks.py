"""Many clients at once, against an API process.

Meanwhile it answers others and writes little into its log. docs/security.md has the times on an idle machine.
"""

import re
import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from app.api.service import THREADS_FOR_REQUESTS
from app.settings import Settings
from benchmarks.service.api_process import api_process
from tests.support.http.over_http import submit
from tests.support.http.slow_clients import LINE, assert_healthy, connect, post_head

FILES, OUR_FILES = 1_024, 1_500
LARGEST_LOG = 100_000  # bytes
ATTACKS = {
    "300 half headers": (300, b"GET / HTTP/1.1\r\nHost: loc"),
    "300 stalled uploads": (300, post_head(1_000_000) + LINE),
    "300 half documents": (300, post_head(1_000_000, "application/json") + b'{"te'),
    "1,100 idle connections": (1_100, b""),
}


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < OUR_FILES:
        pytest.skip(f"a process may open only {most} files here: ulimit -Hn {OUR_FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, OUR_FILES), most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


@pytest.mark.slow
@pytest.mark.parametrize(("clients", "sent"), ATTACKS.values(), ids=ATTACKS)
@pytest.mark.usefixtures("many_files")
def test_others_are_served_during_an_attack(
    api_settings: Settings, database_url: str, redis_url: str, tmp_path: Path, clients: int, sent: bytes
) -> None:
    log = tmp_path / "api.log"
    with api_process(api_settings, files=FILES, log=log) as (url, process), ExitStack() as stack:
        for _ in range(clients):
            connection = stack.enter_context(connect(url))
            with suppress(ConnectionError):  # it may be closed already, to make room for others
                connection.sendall(sent)
        assert_healthy(url, 100)
        assert httpx.get(f"{url}/v1/jobs").status_code == 200
        assert process.num_fds() < FILES
    assert log.stat().st_size < LARGEST_LOG


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.mark.usefixtures("database_url", "redis_url")
def test_few_threads_answer_many_requests(api_settings: Settings) -> None:
    """The event loop shares the interpreter with all of them."""
    with api_process(api_settings) as (url, process), ExitStack() as stack:
        before = process.num_threads()
        connections = [stack.enter_context(connect(url)) for _ in range(60)]
        for connection in connections:
            connection.sendall(get("/v1/jobs"))
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert process.num_threads() <= before + THREADS_FOR_REQUESTS


def full_collections(url: str) -> float:
    """How often the process has looked through all of its objects."""
    metrics = httpx.get(f"{url}/metrics").raise_for_status().text
    (value,) = re.findall(r'^python_gc_collections_total{generation="2"} (\S+)$', metrics, re.MULTILINE)
    return float(value)


@pytest.mark.usefixtures("many_files", "database_url", "redis_url")
def test_the_arrival_of_500_streams_is_not_interrupted(api_settings: Settings) -> None:
    """A full garbage collection stops the process for up to 0.2 s with so many streams."""
    with api_process(api_settings) as (url, _), ExitStack() as stack:
        with httpx.Client(base_url=url) as client:
            job = submit(client)
        before = full_collections(url)
        streams = [stack.enter_context(connect(url)) for _ in range(500)]
        for stream in streams:
            stream.sendall(get(f"/v1/jobs/{job['id']}/events"))
        for stream in streams:
            assert stream.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert full_collections(url) == before
