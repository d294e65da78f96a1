"""Query parameters of a running service, with arbitrary bytes: an answer or a refusal, never a failure."""

from urllib.parse import quote
from uuid import UUID

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tests.support.programs.serving import NO_TLS

VALUES = (
    st.binary(max_size=40)
    | st.uuids().map(lambda uuid: str(uuid).encode())
    | st.integers().map(str).map(str.encode)
)


@given(
    st.dictionaries(st.sampled_from(["cursor", "status", "model", "limit", "other"]), VALUES, max_size=3).map(
        lambda query: "&".join(f"{name}={quote(value)}" for name, value in query.items())
    )
)
def test_the_list_of_jobs_is_answered_or_refused(api_url: str, query: str) -> None:
    answer = httpx.get(f"{api_url}/v1/jobs?{query}", verify=NO_TLS)
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert all(error["pointer"].startswith("?") for error in answer.json()["errors"])


@given(st.binary(max_size=40) | st.uuids().map(lambda uuid: str(uuid).encode()))
def test_a_cursor_is_an_id_or_refused(api_url: str, cursor: bytes) -> None:
    answer = httpx.get(f"{api_url}/v1/jobs?cursor={quote(cursor)}", verify=NO_TLS)
    assert answer.status_code == (200 if is_id(cursor) else 422)


def is_id(cursor: bytes) -> bool:
    try:
        UUID(cursor.decode())
    except ValueError:
        return False
    return True
