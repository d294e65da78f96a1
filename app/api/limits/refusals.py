"""Answers to what is not a request that the application could see: as problem objects, too."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from app.errors import PROBLEM_TYPE, Problem

# Of every response.
SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "frame-ancestors 'none'"}
RETRY_AFTER_SECONDS = 2


def not_http() -> bytes:
    return _refusal(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP/1.1 request.")


def header_too_large(limit: int) -> bytes:
    detail = (
        f"The request line and the headers have more than {limit} bytes. Send a shorter URL or fewer headers."
    )
    return _refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)


def header_too_slow(seconds: float) -> bytes:
    detail = (
        f"The headers did not arrive within {seconds:g} seconds (setting LAYERSCOPE_HEADER_SECONDS). "
        "Send the request again."
    )
    return _refusal(HTTPStatus.REQUEST_TIMEOUT, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _refusal(status: HTTPStatus, detail: str, more: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The whole response, after which the connection is closed."""
    problem = Problem(PROBLEM_TYPE + status.phrase.lower().replace(" ", "-"), status.phrase, status, detail)
    body = json.dumps(problem.to_dict()).encode()
    headers = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **SECURITY_HEADERS,
        **more,
    }
    lines = [f"HTTP/1.1 {status} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
