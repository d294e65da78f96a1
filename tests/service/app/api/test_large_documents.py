"""JSON bodies of 32 MiB: none makes the process grow much or occupies it for long, whatever its structure."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx
import psutil
import pytest

from app.settings import MIB, Settings
from benchmarks.measuring.processor_time import processor_seconds
from benchmarks.service.api_process import api_process
from benchmarks.service.process_memory import SampledMaximum, resident_memory

SIZE = 32 * MIB
LARGEST_GROWTH, MOST_PROCESSOR_SECONDS = 250 * MIB, 5


def filled(start: bytes, item: bytes, end: bytes, count: int = SIZE) -> bytes:
    count = min(count, (SIZE - len(start) - len(end)) // len(item))
    return start + (item * count)[:-1] + end


BODIES = {
    "lists": filled(b'{"texts":[', b"[],", b"]}"),
    "objects": filled(b'{"texts":[', b"{},", b"]}"),
    "nested": filled(b'{"texts":[', b"[[[[[[[]]]]]]],", b"]}"),
    "fewer lists": filled(b'{"texts":[', b"[],", b"]}", 110_000),
    "short strings": filled(b'{"texts":[', b'"ab",', b"]}"),
    "fewer strings": filled(b'{"texts":[', b'"ab",', b"]}", 900_000),
    "token ids": filled(b'{"texts":[{"token_ids":[', b"12345,", b"]}]}"),
    "one string": filled(b'{"texts":["', b"a", b'"]}'),
    "a number": filled(b'{"texts":[', b"1", b"]}"),
    "not closed": filled(b'{"texts":', b"[[[[[[[[", b""),
}


@pytest.fixture(scope="module")
def process(api_settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    with api_process(api_settings) as (url, running):
        yield url, running


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_large_document_is_refused_without_harm(
    process: tuple[str, psutil.Process], database_url: str, redis_url: str, body: bytes
) -> None:
    _, running = process
    used = processor_seconds(running)
    answer, growth = sent(process, body)
    seconds = processor_seconds(running) - used
    assert answer.status_code in (413, 422)
    assert growth < LARGEST_GROWTH
    assert seconds < MOST_PROCESSOR_SECONDS
    print(f"{seconds:.1f} s, {growth / MIB:.0f} MiB: {answer.json()['detail'][:80]}")


@pytest.mark.slow
def test_a_large_document_is_accepted_without_harm(
    process: tuple[str, psutil.Process], database_url: str, redis_url: str
) -> None:
    answer, growth = sent(process, filled(b'{"model":"demo","texts":[', b'"ab",', b"]}", 900_000))
    assert answer.status_code == 202
    assert growth < LARGEST_GROWTH


def sent(process: tuple[str, psutil.Process], body: bytes) -> tuple[httpx.Response, int]:
    """The answer, and the growth of the process in bytes."""
    url, running = process
    headers = {"Content-Type": "application/json"}
    with SampledMaximum(resident_memory(running)) as memory:
        answer = httpx.post(f"{url}/v1/jobs", content=body, headers=headers, timeout=120)
    return answer, memory.growth


@pytest.mark.slow
def test_other_requests_are_answered_while_large_documents_are_read(
    process: tuple[str, psutil.Process],
) -> None:
    url, _ = process
    seconds = []
    with ThreadPoolExecutor(3) as pool, httpx.Client(base_url=url) as client:

        def list_jobs() -> float:
            started = time.monotonic()
            assert client.get("/v1/jobs").status_code == 200
            return time.monotonic() - started

        alone = median(list_jobs() for _ in range(30))
        headers = {"Content-Type": "application/json"}
        send = [
            pool.submit(
                httpx.post, f"{url}/v1/jobs", content=BODIES["fewer strings"], headers=headers, timeout=60
            )
            for _ in range(3)
        ]
        while not all(answer.done() for answer in send):
            seconds.append(list_jobs())
            time.sleep(0.02)
    assert {answer.result().status_code for answer in send} == {422}  # no model is named, and several exist
    assert len(seconds) > 5
    assert median(seconds) < 20 * alone  # on an idle machine 4 times; 33 times with the interval of Python
