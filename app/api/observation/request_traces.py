"""A span for each request, if traces are on."""

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware import METHODS, Answer, route_of
from app.api.origin import HEALTH_CHECKS

if TYPE_CHECKING:
    from app.observation.spans import Tracing

NOT_TRACED = (*HEALTH_CHECKS, "/metrics")


def trace_requests(app: FastAPI, tracing: "Tracing | None") -> None:
    """Health checks, metrics and static files are not traced."""
    if tracing is not None:
        app.add_middleware(TraceMiddleware, tracing=tracing)


class TraceMiddleware:
    def __init__(self, app: ASGIApp, tracing: "Tracing") -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_not_traced(scope["path"]):
            await self._app(scope, receive, send)
            return
        answer = Answer(send)
        method = scope["method"] if scope["method"] in METHODS else "HTTP"
        with self._tracing.request(method, Headers(scope=scope).get("traceparent")) as span:
            try:
                await self._app(scope, receive, answer.send)
            finally:
                span.answered(route_of(scope), answer.status or 500)


def _is_not_traced(path: str) -> bool:
    return path in NOT_TRACED or path.startswith("/static/")
