"""Texts as a stream: the same job as from JSON, errors with their line, nothing kept after an error."""

import gzip
import json
import socket
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.db import make_engine
from app.jobs import store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from app.settings import Settings
from app.tables import Job, Text
from tests.support.http.over_http import answered
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXTS = [("cpp", "int x;"), ("python", "x = 1"), ("cpp", "größer = \u2028 𝄞"), ("cpp", "a\nb")]


def lines(texts: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(json.dumps({"domain": d, "text": t}).encode() + b"\n" for d, t in texts)


def post(
    api: httpx.Client, body: bytes | Iterator[bytes], query: str = "?model=demo", **headers: str
) -> httpx.Response:
    return api.post(f"/v1/jobs{query}", content=body, headers={**NDJSON, **headers})


def pointers(response: httpx.Response) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


def jobs_kept(sessions: Sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_the_lines_become_the_texts_in_their_order(api: httpx.Client, sessions: Sessions) -> None:
    answer = post(api, lines(TEXTS), "?model=demo&name=streamed")
    assert (answer.status_code, answer.json()["name"]) == (202, "streamed")
    assert answer.json()["domains"]["cpp"]["texts"] == 3
    with sessions() as session:
        rows = session.execute(select(Text.domain, Text.text).order_by(Text.ordinal)).all()
    assert [tuple(row) for row in rows] == TEXTS


@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_lines_may_be_cut_anywhere_on_the_way(api: httpx.Client, cut: int) -> None:
    body = b"\n" + lines(TEXTS).rstrip() + b"\r\n\n"
    answer = post(api, (body[i : i + cut] for i in range(0, len(body), cut)))
    assert answer.json()["progress"]["texts"] == len(TEXTS)


def test_gzip_in_one_and_in_several_members(api: httpx.Client) -> None:
    whole, halves = lines(TEXTS), [gzip.compress(lines(TEXTS[:2])), gzip.compress(lines(TEXTS[2:]))]
    for body in (gzip.compress(whole), b"".join(halves)):
        answer = post(api, body, **{"Content-Encoding": "gzip"})
        assert answer.json()["progress"]["texts"] == len(TEXTS)


def test_one_key_is_one_job_whether_json_or_ndjson(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    first = post(api, lines(TEXTS), **key)
    again = post(api, gzip.compress(lines(TEXTS)), **key, **{"Content-Encoding": "gzip"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert post(api, lines(TEXTS[:1]), **key).status_code == 422


WRONG = [
    ("not JSON", b"{", ["/2"]),
    ("not an object", b"[]", ["/2"]),
    ("an unknown field", b'{"domain": "a", "text": "b", "id": 1}', ["/2/id"]),
    ("no text", b'{"domain": "a"}', ["/2/text"]),
    ("a blank text", b'{"domain": "a", "text": " "}', ["/2/text"]),
    ("a reserved domain", b'{"domain": "*", "text": "b"}', ["/2/domain"]),
    ("a domain of another type", b'{"domain": 1, "text": "b"}', ["/2/domain"]),
    ("half a surrogate pair", b'{"domain": "a", "text": "\\ud800"}', ["/2/text"]),
    ("a pair of another type", b'{"domain": "a", "text": "b", "pair": 1}', ["/2/pair"]),
    ("null as pair", b'{"domain": "a", "text": "b", "pair": null}', ["/2/pair"]),
    ("an empty pair", b'{"domain": "a", "text": "b", "pair": ""}', ["/2/pair"]),
    ("a long pair", b'{"domain": "a", "text": "b", "pair": "%s"}' % (65 * b"p"), ["/2/pair"]),
    ("a pair with a NUL", b'{"domain": "a", "text": "b", "pair": "\\u0000"}', ["/2/pair"]),
    ("all three", b'{"domain": "*", "text": "", "pair": " "}', ["/2/domain", "/2/text", "/2/pair"]),
    ("not UTF-8", b'{"domain": "a", "text": "\xff"}', ["/2"]),
]


@pytest.mark.parametrize(("line", "where"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_an_error_names_its_line_and_nothing_is_kept(
    api: httpx.Client, sessions: Sessions, line: bytes, where: list[str]
) -> None:
    answer = post(api, lines(TEXTS[:1]) + line + b"\n" + lines(TEXTS))
    assert (answer.status_code, pointers(answer)) == (422, where)
    assert "line 2" in answer.json()["errors"][0]["detail"]
    assert jobs_kept(sessions) == 0


def test_a_domain_must_be_a_string(api: httpx.Client) -> None:
    (error,) = post(api, b'{"domain": 1, "text": "b"}').json()["errors"]
    assert error["detail"] == "line 1: must be a string"


def test_the_first_twenty_errors_are_listed(api: httpx.Client) -> None:
    answer = post(api, b"{}\n" * 50)
    assert pointers(answer) == [f"/{n}/text" for n in range(1, 21)]


def test_after_an_error_on_the_last_line_nothing_is_kept(api: httpx.Client, sessions: Sessions) -> None:
    answer = post(api, lines(TEXTS * 1000) + b"oops")
    assert pointers(answer) == ["/4001"]
    assert jobs_kept(sessions) == 0


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_a_body_without_texts_is_refused(api: httpx.Client, body: bytes) -> None:
    answer = post(api, body)
    assert (answer.status_code, pointers(answer)) == (422, [""])


def test_bad_parameters_are_named(api: httpx.Client) -> None:
    assert pointers(post(api, lines(TEXTS), "?model=demo&colour=red")) == ["?colour"]
    assert pointers(post(api, lines(TEXTS), "")) == ["?model"]
    assert pointers(post(api, lines(TEXTS), "?model=nobody")) == ["?model"]
    assert pointers(post(api, lines(TEXTS), "?model=demo&name=" + 101 * "a")) == ["?name"]


def test_a_body_that_is_not_gzip_is_refused(api: httpx.Client, sessions: Sessions) -> None:
    packed = gzip.compress(lines(TEXTS))
    for body in (lines(TEXTS), packed[:-9], b""):
        assert post(api, body, **{"Content-Encoding": "gzip"}).status_code == 422
    assert post(api, packed, **{"Content-Encoding": "br"}).status_code == 415
    assert jobs_kept(sessions) == 0


def test_an_interrupted_request_leaves_nothing(api: httpx.Client, sessions: Sessions, api_url: str) -> None:
    address = urlsplit(api_url)
    head = "POST /v1/jobs?model=demo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    before = answered(api, 400)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + lines(TEXTS))
        time.sleep(0.3)  # the service is reading the texts
    wait_for(lambda: answered(api, 400) == before + 1)
    assert jobs_kept(sessions) == 0
    assert post(api, lines(TEXTS)).status_code == 202


def test_a_stream_may_arrive_slowly_also_when_it_is_repeated(database_url: str) -> None:
    engine = make_engine(database_url, idle_in_transaction_seconds=1)  # a garbage collection takes 0.4 s

    def slowly() -> Iterator[tuple[str, str]]:
        yield from TEXTS[:2]
        time.sleep(1.5)
        yield from TEXTS[2:]

    for is_new in (True, False):
        with Session(engine) as session, session.begin():
            draft = Draft("demo", options={}, idempotency_key="k")
            assert store.submit(session, draft, slowly(), ShardSize(100, 100))[1] == is_new
    engine.dispose()


def test_limits_are_named(api_settings: Settings, sessions: Sessions, redis_url: str) -> None:
    changes = {
        "texts_per_job_limit": 3,
        "domains_per_job_limit": 1,
        "text_limit_bytes": 100,
        "ndjson_limit_bytes": 5000,
    }
    with serving(api_settings.model_copy(update=changes)) as url, httpx.Client(base_url=url) as api:
        for body, limit in (
            (lines([("a", "b")] * 4), "TEXTS_PER_JOB"),
            (lines([("a", "b"), ("c", "d")]), "DOMAINS_PER_JOB"),
            (lines([("a", "b" * 101)]), "TEXT"),
            (b"\n" * 5001, "NDJSON"),
            (b'"' + b"b" * 4000, "TEXT"),
        ):
            answer = post(api, body)
            assert answer.status_code == 413
            assert f"LAYERSCOPE_{limit}_LIMIT" in answer.json()["detail"]
    assert jobs_kept(sessions) == 0


def test_a_gzip_bomb_is_refused_with_little_memory(api: httpx.Client, sessions: Sessions) -> None:
    bomb = gzip.compress(b"\n" * 300_000_000)
    before = psutil.Process().memory_info().rss
    answer = post(api, bomb, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert "GZIP_EXPANSION" in answer.json()["detail"]
    assert psutil.Process().memory_info().rss - before < 50_000_000
