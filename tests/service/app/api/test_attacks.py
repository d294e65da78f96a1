"""Many slow clients at once, against an API process that may open 1,024 files.

Meanwhile it answers others and writes little into its log. docs/security.md has the times on an idle machine.
"""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from benchmarks.service.api_process import api_process
from tests.support.slow_clients import LINE, assert_healthy, connect, post_head

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
