"""Responses below the application have what all responses have."""

import pytest

from app.api.limits.refusals import SECURITY_HEADERS, header_too_large, header_too_slow, not_http


@pytest.mark.parametrize("response", [not_http(), header_too_large(1), header_too_slow(1)])
def test_a_refusal_is_a_whole_response_with_the_security_headers(response: bytes) -> None:
    head, _, body = response.decode().partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert SECURITY_HEADERS.items() <= headers.items()
    assert headers["Content-Length"] == str(len(body))
    assert ("Retry-After" in headers) == (" 408 " in head)
