"""Sends spans to an OTLP/HTTP receiver. Only `start_tracing` imports this module."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.observation.tracing import TimedSpan, current_traceparent

EXPORT_SECONDS = 3.0  # a receiver that does not answer delays the end of a process only for this time
HEADER = "traceparent"
PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """The spans of this process. A thread sends them; those that cannot be sent are lost.

    The standard variables of OpenTelemetry set the rest, for example OTEL_TRACES_SAMPLER and
    OTEL_EXPORTER_OTLP_HEADERS.
    """

    def __init__(self, endpoint: str, service: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("layerscope")

    def close(self) -> None:
        """Sends what was not sent yet."""
        self._provider.shutdown()

    @contextmanager
    def request(self, method: str, traceparent: str | None) -> Iterator["RequestSpan"]:
        """The span of a request, which continues the trace of the client if there is one."""
        span = self._tracer.start_span(
            method, _context(traceparent), SpanKind.SERVER, {"http.request.method": method}
        )
        token = current_traceparent.set(_traceparent(span))
        try:
            yield RequestSpan(span, method)
        finally:
            current_traceparent.reset(token)
            span.end()

    def record(self, traceparent: str, spans: Sequence[TimedSpan]) -> None:
        """Sends spans whose parent is `traceparent`."""
        for span in spans:
            self._record(_context(traceparent), span, SpanKind.CONSUMER)

    def _record(self, parent: Context, timed: TimedSpan, kind: SpanKind) -> None:
        span = self._tracer.start_span(timed.name, parent, kind, timed.attributes, start_time=timed.start)
        if timed.has_failed:
            span.set_status(StatusCode.ERROR)
        for child in timed.children:
            self._record(set_span_in_context(span, Context()), child, SpanKind.INTERNAL)
        span.end(timed.end)


class RequestSpan:
    def __init__(self, span: Span, method: str) -> None:
        self._span, self._method = span, method

    def answered(self, route: str, status: int) -> None:
        """`route`: the template of the address, never the address, whose query can contain names."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)


def _context(traceparent: str | None) -> Context:
    """Empty for a value that is not valid."""
    return PROPAGATOR.extract({} if traceparent is None else {HEADER: traceparent}, Context())


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier.get(HEADER)
