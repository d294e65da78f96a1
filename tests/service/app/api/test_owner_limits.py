"""The limits of an owner: each is answered with 429, which names it, and affects no other owner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.access.request_rate import RequestRate
from app.errors import TooManyRequests
from app.jobs import store
from app.jobs.notifications import connect
from app.jobs.quotas import Quotas
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from app.settings import Settings
from app.tables import Job
from tests.support.http.keys import bearer, client_with, new_key
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS, commit, must_claim
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]


@contextmanager
def two_owners(
    settings: Settings, sessions: Sessions, **limits: int
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    with (
        serving(settings.model_copy(update=limits)) as url,
        client_with(url, new_key(sessions, "alice")) as alice,
        client_with(url, new_key(sessions, "bob")) as bob,
    ):
        yield alice, bob


def post(client: httpx.Client, *texts: str, **headers: str) -> httpx.Response:
    return client.post("/v1/jobs", json={"model": "demo", "texts": list(texts)}, headers=headers)


def assert_refused(answer: httpx.Response, setting: str) -> None:
    assert answer.status_code == 429, answer.text
    assert answer.json()["type"] == "urn:layerscope:problem:too-many-requests"
    assert f"LAYERSCOPE_{setting}" in answer.json()["detail"]
    assert "alice" in answer.json()["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_requests_per_minute(settings: Settings, sessions: Sessions, redis: Redis) -> None:
    with two_owners(settings, sessions, owner_requests_per_minute=5) as (alice, bob):
        statuses = [alice.get("/v1/jobs").status_code for _ in range(8)]
        assert statuses == [200] * 5 + [429] * 3
        assert_refused(alice.get("/"), "OWNER_REQUESTS_PER_MINUTE")
        assert alice.get("/health/ready").status_code == 200
        assert bob.get("/v1/jobs").status_code == 200
        assert [name for name in redis.scan_iter() if b"alice" in name]


def rate(redis_url: str, per_minute: int) -> RequestRate:
    return RequestRate(connect(redis_url), redis_url, per_minute, "requests", "owner_requests_per_minute")


def test_two_processes_count_together_and_alone_without_redis(redis_url: str) -> None:
    limits = [rate(redis_url, 4) for _ in range(2)]
    for limit in limits * 2:
        limit.count("alice")
    for limit in limits:
        with pytest.raises(TooManyRequests):
            limit.count("alice")
    unreachable = "redis://127.0.0.1:1"
    for limit in [rate(unreachable, 2) for _ in range(2)]:
        limit.count("alice")
        limit.check("alice")
        limit.count("alice")
        with pytest.raises(TooManyRequests):
            limit.check("alice")
        with pytest.raises(TooManyRequests):
            limit.count("alice")


def test_unfinished_jobs(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_live_jobs_limit=2) as (alice, bob):
        first = post(alice, "a").json()["id"]
        assert post(alice, "a", **{"Idempotency-Key": "1"}).status_code == 202
        assert_refused(post(alice, "a"), "OWNER_LIVE_JOBS_LIMIT")
        assert post(alice, "a", **{"Idempotency-Key": "1"}).status_code == 200
        assert post(bob, "a").status_code == 202
        assert len(alice.get("/v1/jobs").json()["data"]) == 2
        assert alice.post(f"/v1/jobs/{first}/cancel").status_code == 202
        assert post(alice, "a").status_code == 202


def test_texts_that_wait(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_queued_texts_limit=4) as (alice, bob):
        assert post(alice, "a", "b", "c").status_code == 202
        assert_refused(post(alice, "d", "e"), "OWNER_QUEUED_TEXTS_LIMIT")
        assert post(bob, "a", "b").status_code == 202
        assert post(alice, "d").status_code == 202
        for _ in range(3):
            commit(sessions, must_claim(sessions))  # measured texts do not wait
        assert post(alice, "d", "e").status_code == 202


def test_stored_bytes(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_stored_bytes_limit=10) as (alice, bob):
        first = post(alice, "€uro", "ab").json()["id"]  # 6 + 2 bytes
        with sessions() as session:
            assert session.scalars(select(Job.text_bytes)).all() == [8]
        assert_refused(post(alice, "abc"), "OWNER_STORED_BYTES_LIMIT")
        assert post(bob, "abc").status_code == 202
        assert post(alice, "ab").status_code == 202
        assert alice.delete(f"/v1/jobs/{first}").status_code == 204
        assert post(alice, "abc").status_code == 202


def test_jobs_of_others_do_not_count_for_an_admin(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_live_jobs_limit=1) as (alice, bob):
        assert post(alice, "a").status_code == 202
        bob.headers.update(bearer(new_key(sessions, "carol", "admin")))
        assert len(bob.get("/v1/jobs").json()["data"]) == 1
        assert post(bob, "a").status_code == 202


def test_a_job_that_is_being_deleted_does_not_count(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_stored_bytes_limit=3) as (alice, _):
        job_id = UUID(post(alice, "abc").json()["id"])
        assert post(alice, "a").status_code == 429
        with sessions.begin() as session:
            store.delete_job(session, job_id)  # its rows still exist
        assert post(alice, "abc").status_code == 202


def test_parallel_submissions_cannot_exceed_a_limit_together(settings: Settings, sessions: Sessions) -> None:
    with two_owners(settings, sessions, owner_live_jobs_limit=3) as (alice, _), ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: post(alice, *"abcdefgh").status_code, range(16)))
    assert sorted(statuses) == [202] * 3 + [429] * 13
    with sessions() as session:
        assert len(store.page(session, status=None, model=None, limit=20, before=None)) == 3


def test_without_keys_there_are_no_limits(settings: Settings) -> None:
    limits = {"owner_requests_per_minute": 1, "owner_live_jobs_limit": 1, "owner_stored_bytes_limit": 1}
    with serving(settings.model_copy(update=limits)) as url, httpx.Client(base_url=url) as client:
        assert [post(client, "abc").status_code for _ in range(3)] == [202] * 3


def test_a_refused_job_is_refused_before_its_texts_are_stored(sessions: Sessions) -> None:
    read: list[str] = []

    def texts() -> Iterator[tuple[str, str]]:
        read.append("a")
        yield "a", "a"

    quotas = Quotas(live_jobs=0, queued_texts=10, stored_bytes=10)
    with pytest.raises(TooManyRequests), sessions.begin() as session:
        store.submit(session, Draft(MODEL, options=OPTIONS), texts(), ShardSize(100, 100), quotas)
    assert read == []
