"""Traces: from the request that submits a job to its shards and its finalization. Off by default.

The module `spans`, and with it OpenTelemetry, is imported only if an endpoint is configured. The context of a
trace is stored with the job: a message in Redis could be forged.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.observation.spans import Tracing

# The span of the request in progress, as in the header `traceparent` of W3C Trace Context; None: not traced.
current_traceparent: ContextVar[str | None] = ContextVar("current_traceparent", default=None)


@dataclass(frozen=True)
class TimedSpan:
    """A span that has ended. `start` and `end`: nanoseconds since 1970.

    The attributes contain no text, no name of a job, and no message of an exception.
    """

    name: str
    start: int
    end: int
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    has_failed: bool = False
    children: Sequence["TimedSpan"] = ()


def start_tracing(endpoint: str | None, service: str) -> "Tracing | None":
    """None without an endpoint. Raises: ConfigurationError if OpenTelemetry is not installed."""
    if endpoint is None:
        return None
    try:
        from app.observation.spans import Tracing
    except ImportError as error:
        raise ConfigurationError(
            f"LAYERSCOPE_TRACES_ENDPOINT needs OpenTelemetry, which cannot be imported ({error}): install it "
            "with `pip install 'layerscope[otel]'`, or unset the setting."
        ) from error
    return Tracing(endpoint, service)
