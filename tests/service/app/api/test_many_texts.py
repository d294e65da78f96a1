"""Many texts are sent to and read from an API process, whose memory does not grow with them."""

from collections.abc import Iterator
from itertools import chain
from uuid import UUID

import psutil
import psycopg
import pytest

from app.local.servers import Servers
from app.settings import Settings
from benchmarks.service.api_process import api_process
from benchmarks.service.http_jobs import download, lines, paired_lines, post
from benchmarks.service.intake import Bench, aborted_upload, rejected_upload
from benchmarks.service.process_memory import MEGABYTE, SampledMaximum, resident_memory, session_memory
from benchmarks.service.stored_jobs import insert_jobs, stored_values
from layerscope.names import COMPONENTS, SCOPES

TEXTS = 100_000  # 24 MB as a body, 45 MB as a list of strings
WIDE_TEXTS = 3_000  # with 42 MB of values: 130 MB of CSV


@pytest.fixture(scope="module")
def alone(api_settings: Settings, embedded_servers: Servers) -> Iterator[Bench]:
    with api_process(api_settings) as (url, process):
        post(url, lines(100))  # the first request loads modules
        yield Bench(url, process, embedded_servers)


@pytest.fixture
def bench(alone: Bench, database_url: str, redis_url: str) -> Bench:
    return alone


def test_a_stream_is_never_held(bench: Bench) -> None:
    with SampledMaximum(resident_memory(bench.api)) as memory:
        answer = post(bench.url, lines(TEXTS))
    assert (answer.status_code, answer.json()["progress"]["texts"]) == (202, TEXTS)
    assert memory.growth < 10 * MEGABYTE


def test_nothing_is_kept_of_an_interrupted_stream(bench: Bench) -> None:
    assert aborted_upload(bench, TEXTS) == "0 rows kept"


def test_nothing_is_kept_of_a_stream_with_an_error_on_its_last_line(bench: Bench) -> None:
    assert rejected_upload(bench, TEXTS) == f"422, /{TEXTS}/text; 0 rows kept"


@pytest.mark.slow
def test_a_repeated_pair_is_found_without_holding_the_pairs(bench: Bench) -> None:
    first = next(paired_lines(1))
    with SampledMaximum(resident_memory(bench.api)) as memory:
        answer = post(bench.url, chain(paired_lines(TEXTS), [first]))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Two texts of the domain a have the pair ")
    assert memory.growth < 10 * MEGABYTE


@pytest.mark.slow
def test_a_file_is_never_held(bench: Bench, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        (job_id,) = insert_jobs(connection, 1, WIDE_TEXTS, stored_values(28))
    backend = session_memory(psutil.Process(bench.running.children[0].process.pid))
    with SampledMaximum(resident_memory(bench.api)) as api, SampledMaximum(backend) as session:
        came = read(bench, job_id)
    assert came == WIDE_TEXTS * 28 * len(SCOPES) * len(COMPONENTS) + 1
    assert api.growth < 25 * MEGABYTE
    assert session.growth < 25 * MEGABYTE


def read(bench: Bench, job_id: UUID) -> int:
    status, _, ends = download(bench.url, job_id, "texts.csv")
    assert status == 200
    return ends
