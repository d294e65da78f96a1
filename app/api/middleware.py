"""What every answer gets: an id, a place in the metrics, and HEAD where there is GET."""

import logging
import re
import time
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import internal_error

SANE_ID = re.compile(r"[!-~]{1,128}")
HEAD = "layerscope.head"
METHODS = ("GET", "HEAD", "POST", "DELETE")  # others are as many as a stranger can think of

log = logging.getLogger(__name__)


class Front:
    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route")
        self._requests = Counter(
            "layerscope_http_requests", "Requests answered", (*labels, "status"), registry=registry
        )
        self._seconds = Histogram(
            "layerscope_http_request_seconds", "From request to the answer's end", labels, registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner = dict(scope)
        if scope["method"] == "HEAD":
            inner |= {"method": "GET", HEAD: True}
        answer = Answer(send, _request_id(scope))
        started = time.perf_counter()
        try:
            await self._answer(inner, receive, answer)
        finally:
            method, route = scope["method"] if scope["method"] in METHODS else "other", _route_of(inner)
            self._requests.labels(method, route, str(answer.status)).inc()
            self._seconds.labels(method, route).observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("request %s failed", answer.request_id)
            if answer.status is not None:
                raise
            await internal_error()(scope, receive, answer.send)


class Answer:
    """Passes an answer on with its id in the header, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self.request_id = send, request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self.request_id
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if SANE_ID.fullmatch(given) else str(uuid4())


def _route_of(scope: Scope) -> str:
    """The route's template, never the path: ids would make a series each."""
    return getattr(scope.get("route"), "path", "none")
