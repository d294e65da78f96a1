"""Answers to what is not a request that the application could see: as problem objects, too."""

import json
from http import HTTPStatus

from app.errors import PROBLEM_TYPE, Problem


def not_http() -> bytes:
    return _refusal(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP/1.1 request.")


def header_too_large(limit: int) -> bytes:
    detail = (
        f"The request line and the headers have more than {limit} bytes. Send a shorter URL or fewer headers."
    )
    return _refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)


def _refusal(status: HTTPStatus, detail: str) -> bytes:
    """The whole response, after which the connection is closed."""
    problem = Problem(PROBLEM_TYPE + status.phrase.lower().replace(" ", "-"), status.phrase, status, detail)
    body = json.dumps(problem.to_dict()).encode()
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
