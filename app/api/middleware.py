"""What every request has in common: metrics, HEAD for every GET, a limit, a problem for unexpected errors.

Also the dependencies that most calls share.
"""

import logging
import re
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import Annotated
from uuid import UUID, uuid4

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI, Query, Request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as Count
from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.api.limits.refusals import SECURITY_HEADERS
from app.api.limits.slots import Slots
from app.api.limits.turns import Turns
from app.api.origin import HEALTH_CHECKS
from app.api.pages.error_page import for_reader
from app.api.problems import internal_error, problem_response
from app.errors import TooBusy
from app.submission.input_errors import InputErrors

REQUEST_ID = re.compile(r"[!-~]{1,128}")
HEAD = "layerscope.head"
METHODS = ("GET", "HEAD", "POST", "DELETE")  # others are counted together: clients can invent any number

log = logging.getLogger(__name__)


def limit_requests(app: FastAPI, slots: Slots) -> None:
    """Refuses requests for which no slot is free, and begins the others in turn, except health checks."""
    app.add_middleware(LimitMiddleware, slots=slots)


def add_middleware(app: FastAPI, registry: CollectorRegistry) -> None:
    """Request metrics, HEAD and unexpected errors, and around them the id of every request."""
    app.add_middleware(RequestMiddleware, registry=registry)
    app.add_middleware(  # the outermost one, so that every answer has an id
        CorrelationIdMiddleware,
        header_name="X-Request-Id",
        update_request_header=False,
        generator=lambda: str(uuid4()),
        validator=lambda given: REQUEST_ID.fullmatch(given) is not None,
    )


async def log_about_job(request: Request) -> None:
    """Binds the job of the address to the log lines of the request.

    It is asynchronous so that it runs in the request's own context, which the thread pool then copies.
    """
    with suppress(KeyError, ValueError):
        bind_contextvars(job=str(UUID(request.path_params["job_id"])))


class Parameters(BaseModel):
    """The query parameters of a call. Others are refused: a mistyped name would otherwise have no effect."""

    model_config = ConfigDict(extra="forbid")


async def no_parameters(query: Annotated[Parameters, Query()]) -> None:
    """A dependency of calls without query parameters."""


async def parameters_once(request: Request) -> None:
    """A dependency of calls with query parameters: a repeated one is refused, as only one value would count.

    Raises: InvalidRequest.
    """
    errors = InputErrors("?")
    given = request.query_params.multi_items()
    for name, times in Counter(name for name, _ in given).items():
        if times > 1:
            errors.add("occurs more than once", name)
    errors.check()


class LimitMiddleware:
    def __init__(self, app: ASGIApp, slots: Slots) -> None:
        self._app, self._slots, self._turns = app, slots, Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        with ExitStack() as stack:
            if scope["type"] == "http" and scope["path"] not in HEALTH_CHECKS:
                try:
                    stack.enter_context(self._slots.take())
                    await self._turns.take()
                except TooBusy as error:
                    answer = for_reader(Request(scope), problem_response(error))
            await answer(scope, receive, send)


class RequestMiddleware:
    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route")
        self._requests = Count(
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
        answer = Answer(send)
        started = time.perf_counter()
        try:
            await self._answer(inner, receive, answer)
        finally:
            method, route = scope["method"] if scope["method"] in METHODS else "other", route_of(inner)
            self._requests.labels(method, route, str(answer.status)).inc()
            self._seconds.labels(method, route).observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, answer: "Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("the request failed")
            if answer.status is not None:
                raise
            page_or_problem = for_reader(Request(scope), internal_error())
            for name, value in SECURITY_HEADERS.items():  # as OriginMiddleware adds them to all other answers
                page_or_problem.headers.setdefault(name, value)
            await page_or_problem(scope, receive, answer.send)


class Answer:
    """Passes an answer on, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The route's template, not the path: each id in a path would create a series of its own."""
    return getattr(scope.get("route"), "path", "none")
