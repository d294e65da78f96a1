"""What `/metrics` of the API says, and in which format."""

import httpx
import pytest
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.registry import Collector
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.api.observation import work_metrics
from app.api.observation.work_metrics import WorkCollector
from app.jobs import counts, notifications
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MODEL

JOB = "01a20a26-33f5-7641-a213-2cafd04d4b7f"
BODY = {"model": "demo", "texts": ["a"]}
OPEN_METRICS = "application/openmetrics-text"
# What Prometheus 3 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


def parsed(answer: httpx.Response) -> dict[str, Metric]:
    """Raises: ValueError if the text is not in the format that the answer names."""
    is_open = answer.headers["Content-Type"].startswith(OPEN_METRICS)
    parse = openmetrics_parser if is_open else parser
    return {family.name: family for family in parse.text_string_to_metric_families(answer.text)}


def families(collector: Collector) -> dict[str, Metric]:
    return {family.name: family for family in collector.collect()}


def test_metrics_count_work_and_requests_by_route(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    finished_job(sessions, failing=[1])
    api.post("/v1/jobs", json=BODY)
    api.get(f"/v1/jobs/{JOB}")
    lines = api.get("/metrics").text.splitlines()
    assert 'layerscope_jobs{status="succeeded"} 1.0' in lines
    assert 'layerscope_jobs{status="queued"} 1.0' in lines
    assert 'layerscope_backlog_texts{model="demo"} 1.0' in lines
    assert 'layerscope_waiting_shards{model="demo"} 1.0' in lines
    assert 'layerscope_workers_alive{model="demo"} 0.0' in lines
    assert 'layerscope_backlog_texts{model="llama-3.2-3b"} 0.0' in lines  # without work
    of_route = 'layerscope_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'
    assert any(line.startswith(of_route) for line in lines)
    assert not any(JOB in line for line in lines)


def test_unknown_methods_share_one_label(api: httpx.Client) -> None:
    api.request("PROPFIND", "/v1/jobs")
    metrics = api.get("/metrics").text
    assert "PROPFIND" not in metrics
    assert 'method="other"' in metrics


def test_a_client_that_accepts_open_metrics_gets_it(api: httpx.Client) -> None:
    answer = api.get("/metrics", headers={"Accept": PROMETHEUS})
    assert answer.headers["Content-Type"].startswith(f"{OPEN_METRICS}; version=1.0.0")
    found = parsed(answer)
    assert found["layerscope_oldest_waiting_shard_seconds"].unit == "seconds"
    assert found["layerscope_http_requests"].type == "counter"
    assert "process_resident_memory_bytes" in found


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "text/plain"),
        ("text/plain;version=abc", "text/plain"),
        (f"{OPEN_METRICS};version=0.0.1", "text/plain"),
        (f"{OPEN_METRICS}; version=newest; q=0.5", OPEN_METRICS),
        (OPEN_METRICS, OPEN_METRICS),
    ],
)
def test_every_accept_header_is_answered(api: httpx.Client, accept: str, media_type: str) -> None:
    answer = api.get("/metrics", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, media_type)
    assert "layerscope_jobs" in parsed(answer)


def test_a_slow_database_does_not_delay_the_metrics(
    sessions: sessionmaker[Session], redis: Redis, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_metrics, "DATABASE_LIMIT", "50ms")
    with engine.begin() as connection:
        connection.exec_driver_sql("lock table shard in access exclusive mode")
        collected = families(WorkCollector(sessions, redis, [MODEL]))
    assert collected["layerscope_database_up"].samples[0].value == 0
    assert "layerscope_workers_alive" in collected
    with sessions() as session:  # the limit holds in the transaction of the scrape only
        assert counts.waiting_work(session) == {}


def test_without_redis_the_workers_are_unknown(sessions: sessionmaker[Session]) -> None:
    with notifications.connect("redis://127.0.0.1:1/0") as unreachable:
        collected = families(WorkCollector(sessions, unreachable, [MODEL]))
    assert collected["layerscope_redis_up"].samples[0].value == 0
    assert "layerscope_workers_alive" not in collected
    assert collected["layerscope_database_up"].samples[0].value == 1
