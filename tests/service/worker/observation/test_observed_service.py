"""The metrics of a real API and a real worker after one job."""

import re
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry

from app.local.servers import Servers
from app.resources import ROOT
from app.settings import Settings
from tests.support.databases.empty_tables import empty_tables
from tests.support.programs.observed_service import NAME, PARENT, TEXT, TRACE, Observed, observed_service
from tests.support.programs.serving import NO_TLS
from worker.observation.metrics_server import serve_metrics

PHASES = ("queue", "tokenize", "forward", "reduce", "analyse", "commit", "finalize")


@pytest.fixture(scope="module")
def observed(
    embedded_servers: Servers, migrated_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    empty_tables(migrated_database_url)
    settings = Settings(
        home=folder / "home",
        database_url=migrated_database_url,
        redis_url=embedded_servers.redis_url,
        models=ROOT / "models.toml",
        sweep_seconds=0.5,
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # milliseconds between two exports of spans
        with observed_service(settings, folder) as observed:
            yield observed


def test_texts_and_tokens_are_counted_by_outcome(observed: Observed) -> None:
    assert observed.job["status"] == "succeeded"
    progress = observed.job["progress"]
    assert (progress["done"], progress["failed"]) == (13, 1)
    for outcome, texts in (("done", 13), ("failed", 1)):
        assert observed.value("layerscope_worker_texts_total", model="demo", outcome=outcome) == texts
    tokens = observed.value("layerscope_worker_tokens_total", model="demo", outcome="done")
    assert tokens == progress["tokens"]
    assert observed.value("layerscope_worker_batch_tokens_sum", model="demo") == tokens
    assert observed.value("layerscope_worker_batch_tokens_count", model="demo") == 1


def test_each_phase_has_its_time(observed: Observed) -> None:
    seconds = {
        phase: observed.value("layerscope_worker_phase_seconds_sum", model="demo", phase=phase)
        for phase in PHASES
    }
    assert all(0 < value < 60 for value in seconds.values()), seconds
    for phase in PHASES:
        assert observed.value("layerscope_worker_phase_seconds_count", model="demo", phase=phase) == 1


def test_attempts_and_their_ends_are_counted(observed: Observed) -> None:
    attempts, ended = "layerscope_worker_attempts_total", "layerscope_worker_attempts_ended_total"
    assert observed.value(attempts, model="demo", reason="first") == 1
    assert observed.value(attempts, model="demo", reason="expired_lease") == 0
    assert observed.value(ended, model="demo", end="committed") == 1
    assert observed.value(ended, model="demo", end="failed") == 0
    assert observed.value("layerscope_worker_fenced_commits_total", model="demo") == 0


def test_the_process_shows_its_memory_and_load_time(observed: Observed) -> None:
    used = observed.value("layerscope_worker_device_memory_used_bytes", model="demo", device="cpu")
    total = observed.value("layerscope_worker_device_memory_bytes", model="demo", device="cpu")
    assert 10**7 < used < total
    assert 0 < observed.value("layerscope_worker_load_seconds", model="demo") < 60


def test_the_api_shows_the_state_of_the_work(observed: Observed) -> None:
    assert observed.value("layerscope_workers_alive", model="demo") == 1
    assert observed.value("layerscope_jobs", status="succeeded") >= 1
    assert observed.value("layerscope_backlog_texts", model="demo") == 0
    assert observed.value("layerscope_redis_up") == 1


def test_both_processes_count_their_sweeps(observed: Observed) -> None:
    for text in (observed.of_api, observed.of_worker):
        assert re.search(r'layerscope_sweeps_total\{result="completed"\} \d', text)


def test_no_label_contains_a_text_or_a_name(observed: Observed) -> None:
    for secret in (NAME, TEXT, observed.job["id"]):
        assert secret not in observed.of_api + observed.of_worker


def test_the_labels_are_bounded(observed: Observed) -> None:
    """Enumerations, the models of the list, devices, and routes."""
    labels = {name for text in (observed.of_api, observed.of_worker) for name in re.findall(r'(\w+)="', text)}
    allowed = {"model", "outcome", "phase", "reason", "end", "result", "status", "device", "generation"}
    assert labels <= allowed | {"method", "route", "le"}


def test_a_worker_that_measures_is_ready(observed: Observed) -> None:
    server = observed.metrics_url.removesuffix("/metrics")
    for name, status in (("live", "live"), ("ready", "ready")):
        answer = httpx.get(f"{server}/health/{name}", verify=NO_TLS)
        assert (answer.status_code, answer.json()) == (200, {"status": status})


def test_a_worker_that_loads_its_model_is_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    serve_metrics(CollectorRegistry(), "127.0.0.1", 0, lambda: False)
    server = caplog.messages[0].rpartition(" ")[2].removesuffix("/metrics")
    statuses = [
        httpx.get(server + path, verify=NO_TLS).status_code
        for path in ("/health/live", "/health/ready", "/metrics")
    ]
    assert statuses == [200, 503, 200]


def test_a_worker_works_although_its_port_is_taken(
    observed: Observed, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(observed.metrics_url.rpartition(":")[2].partition("/")[0])
    serve_metrics(CollectorRegistry(), "127.0.0.1", port, lambda: True)
    (line,) = caplog.messages
    assert f"cannot be served on 127.0.0.1, port {port}: " in line
    assert "the worker continues without; change LAYERSCOPE_WORKER_METRICS_HOST" in line


def test_an_unknown_host_is_a_warning_too(caplog: pytest.LogCaptureFixture) -> None:
    serve_metrics(CollectorRegistry(), "no.such.host.invalid", 0, lambda: True)
    assert "cannot be served on no.such.host.invalid" in caplog.text


@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json", "alerts_test.yml"])
def test_every_metric_that_operators_use_exists(observed: Observed, file: str) -> None:
    text = (ROOT / "deploy" / "observability" / file).read_text(encoding="utf-8")
    used = set(re.findall(r"\b(?:layerscope|process)_\w+", text))
    assert used
    assert used - observed.names == set()


def test_every_metric_is_documented(observed: Observed) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = set(
        re.findall(r"`(layerscope_\w+)`", text.partition("## Metrics")[2].partition("## Health")[0])
    )
    parts = re.compile(r"_(bucket|count|sum|created)$")
    exposed = {parts.sub("", name) for name in observed.names if name.startswith("layerscope_")}
    exposed = {name for name in exposed if f"{name}_total" not in observed.names}  # of `…_created`
    assert exposed == documented


def one(observed: Observed, name: str) -> Span:
    (span,) = observed.receiver.named(name)
    return span


def test_the_trace_leads_from_the_request_to_the_shard(observed: Observed) -> None:
    """One span per phase, all in the trace of the client."""
    request, shard = one(observed, "POST /v1/jobs"), one(observed, "shard")
    assert request.parent_span_id.hex() == PARENT
    for name in ("queue", "shard", "finalize"):
        assert one(observed, name).parent_span_id == request.span_id
    for name in ("tokenize", "forward", "reduce", "analyse", "commit"):
        span = one(observed, name)
        assert span.parent_span_id == shard.span_id
        assert shard.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano < span.end_time_unix_nano <= shard.end_time_unix_nano
    for name in ("POST /v1/jobs", "shard", *PHASES):
        assert one(observed, name).trace_id.hex() == TRACE
    services = {span.name: service for service, span in observed.receiver.received}
    assert (services["POST /v1/jobs"], services["shard"]) == ("layerscope-api", "layerscope-worker")


def test_spans_and_metrics_have_the_same_seconds(observed: Observed) -> None:
    for phase in PHASES[:-1]:
        (seconds,) = [each.value.double_value for each in one(observed, phase).attributes]
        labels = {"model": "demo", "phase": phase}
        assert seconds == pytest.approx(observed.value("layerscope_worker_phase_seconds_sum", **labels))


def test_no_span_contains_a_text_a_name_or_a_query(observed: Observed) -> None:
    everything = b"".join(span.SerializeToString() for _, span in observed.receiver.received)
    assert observed.job["id"].encode() in everything
    for secret in (NAME, TEXT, "wait=60"):
        assert secret.encode() not in everything


def test_health_checks_and_metrics_are_not_traced(observed: Observed) -> None:
    names = {span.name for _, span in observed.receiver.received}
    assert names <= {"POST /v1/jobs", "GET /v1/jobs/{job_id}", "shard", *PHASES}
