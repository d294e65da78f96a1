"""Traces: off by default, then without OpenTelemetry; on, to a receiver on loopback."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.main import NO_TELEMETRY
from app.observation.spans import EXPORT_SECONDS, Tracing
from app.observation.tracing import TimedSpan, current_traceparent, start_tracing
from app.resources import ROOT
from tests.support.http.otlp_receiver import otlp_receiver
from tests.unit.test_architecture import APP, WORKER, imports_of

# FastAPI loads the API of OpenTelemetry, and redis the metrics of its SDK if that is installed.
FOR_TRACES = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "app.observation.spans")
CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
NO_TRACE = f"00-{'0' * 32}-b7ad6b7169203331"


def test_without_an_endpoint_traces_are_off() -> None:
    assert start_tracing(None, "test") is None


def test_one_module_imports_opentelemetry_and_is_imported_only_when_traces_are_on() -> None:
    files = {str(file.relative_to(ROOT)): file for file in (*APP, *WORKER)}
    importing = [name for name, file in files.items() if is_imported("opentelemetry", imports_of(file))]
    assert importing == ["app/observation/spans.py"]
    always = [name for name, file in files.items() if is_imported("app.observation.spans", at_import(file))]
    assert always == []


def is_imported(module: str, names: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in names)


def at_import(file: Path) -> set[str]:
    """What a module imports when it is imported, but not within functions or for type checkers."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.slow
def test_an_api_without_traces_does_not_load_them() -> None:
    code = "import sys, app.main; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [name for name in run.stdout.split() if name.startswith(FOR_TRACES)] == []


def test_an_api_never_uses_the_traces_of_fastapi() -> None:
    """They contain the query, and the messages of exceptions."""
    assert not any(NO_TELEMETRY.values())


def test_without_opentelemetry_an_endpoint_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "app.observation.spans")
    with pytest.raises(ConfigurationError, match=r"pip install 'layerscope\[otel\]'"):
        start_tracing("http://127.0.0.1:1/v1/traces", "test")


@pytest.mark.parametrize("given", [None, "", "nonsense", f"{CLIENT}-zz", f"{NO_TRACE}-01"])
def test_a_request_without_a_valid_context_starts_a_trace(given: str | None) -> None:
    with otlp_receiver() as receiver:
        tracing = Tracing(receiver.url, "test")
        with tracing.request("GET", given) as span:
            traceparent = current_traceparent.get()
            span.answered("/v1/jobs", 503)
        tracing.close()
    (found,) = receiver.named("GET /v1/jobs")
    assert found.parent_span_id == b""
    assert traceparent is not None
    version, trace, span_id, flags = traceparent.split("-")
    assert (version, trace, span_id) == ("00", found.trace_id.hex(), found.span_id.hex())
    assert int(flags, 16) & 1  # sampled
    assert found.status.code == 2
    assert current_traceparent.get() is None


def test_a_trace_that_the_client_does_not_sample_is_not_sent() -> None:
    with otlp_receiver() as receiver:
        tracing = Tracing(receiver.url, "test")
        with tracing.request("GET", f"{CLIENT}-00"):
            traceparent = current_traceparent.get()
        assert traceparent is not None
        tracing.record(traceparent, [TimedSpan("shard", 1, 2, {}, False, [TimedSpan("commit", 1, 2)])])
        tracing.close()
    assert receiver.received == []


def test_a_receiver_that_does_not_answer_delays_the_end_only_briefly() -> None:
    tracing = Tracing("http://127.0.0.1:1/v1/traces", "test")
    with tracing.request("GET", None):
        pass
    started = time.monotonic()
    tracing.close()
    assert time.monotonic() - started < 2 * EXPORT_SECONDS
