"""Refuses what a foreign web page in the user's browser could send, and adds security headers to responses.

Every web page in a browser on this machine can reach a service on loopback. A page may bind its own name to
127.0.0.1 (DNS rebinding); the `Host` header then contains that name. Or it may send a request directly; then
`Sec-Fetch-Site` or `Origin` states where it comes from. Programs such as curl send neither header.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.limits.refusals import SECURITY_HEADERS
from app.api.problems import problem_response
from app.errors import ForeignOrigin, HostNotAllowed, ProblemError
from layerscope.addresses import is_loopback

ANY_HOST = "*"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Probes of an orchestrator name the address of a container. The answers contain no data.
HEALTH_CHECKS = ("/health/live", "/health/ready")


def add_origin_checks(app: FastAPI, allowed_hosts: Collection[str]) -> None:
    """`allowed_hosts`: names in addition to those of loopback; `*` allows every name."""
    app.add_middleware(OriginMiddleware, allowed_hosts=frozenset(map(str.lower, allowed_hosts)))


class OriginMiddleware:
    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str]) -> None:
        self._app, self._allowed_hosts = app, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        answer = self._app if refusal is None else problem_response(refusal)
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["path"] not in HEALTH_CHECKS and not self._is_allowed(host):
            return HostNotAllowed(
                f"This service is not known as {host!r}. Use the address 127.0.0.1 or localhost, or add the "
                "name to the setting LAYERSCOPE_ALLOWED_HOSTS."
            )
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers, host):
            return ForeignOrigin(
                "A web page of another site may not change anything. Use the page of this service, or a "
                "program."
            )
        return None

    def _is_allowed(self, host: str) -> bool:
        name = _name_of(host)
        allowed = self._allowed_hosts
        return name is not None and (is_loopback(name) or name in allowed or ANY_HOST in allowed)


def _name_of(host: str) -> str | None:
    """The name in a Host header, without the port; None if there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser sent the request for a page of another origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and _place_of(origin) != host.lower()


def _place_of(origin: str) -> str | None:
    """The name and port in an Origin header; None if it cannot be read."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
