"""The page of models and workers."""

import html
import re
from datetime import UTC, datetime, timedelta

import httpx
from redis import Redis
from rq import Worker
from sqlalchemy import insert, update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import notifications, reports
from app.jobs.counts import Backlog, backlog_by_model
from app.settings import Settings
from app.tables import Job, ModelFailure
from tests.support.jobs.jobs_by_hand import MEASURED_WITH, MODEL, commit, must_claim, submit
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.programs.serving import serving
from worker.runtime.model_loading import record

Sessions = sessionmaker[Session]
REASON = "The folder <model> is missing."


def text_of(api: httpx.Client) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", api.get("/models").text)).split())


def failed_to_load(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(insert(ModelFailure).values(name=MODEL, reason=REASON))


def test_a_model_without_worker_says_how_to_start_one(api: httpx.Client, database_url: str) -> None:
    text = text_of(api)
    assert f"{MODEL} no worker" in text
    assert f"layerscope worker --model {MODEL}" in text
    assert "Layers not known before a worker has loaded the model" in text
    assert "Backlog none Rate not known before a job is finished" in text


def test_a_model_that_cannot_be_loaded_shows_the_reason(api: httpx.Client, sessions: Sessions) -> None:
    failed_to_load(sessions)
    with sessions.begin() as session:
        session.execute(update(ModelFailure).values(since="2026-01-02T04:04:05.67+01:00"))
    text = text_of(api)
    assert f"{MODEL} cannot be loaded Since 2026-01-02 03:04:05 UTC: {REASON}" in text
    assert REASON not in api.get("/models").text


def test_a_model_with_a_worker_is_ready(api: httpx.Client, sessions: Sessions, redis: Redis) -> None:
    """Also if another worker could not load it."""
    failed_to_load(sessions)
    record(sessions, MODEL, MEASURED_WITH)
    worker = Worker([notifications.queue_of(redis, MODEL)], connection=redis)
    worker.register_birth()  # type: ignore[no-untyped-call]
    try:
        text = text_of(api)
    finally:
        worker.register_death()  # type: ignore[no-untyped-call]
    assert f"{MODEL} ready Workers 1" in text
    assert REASON not in text
    assert "3, with 8 hidden units, in float32" in text
    assert "Longest text 2,048 tokens" in text


def test_a_model_that_a_worker_loads_is_loading(api: httpx.Client, sessions: Sessions, redis: Redis) -> None:
    failed_to_load(sessions)
    reports.write_loading(redis, MODEL)
    text = text_of(api)
    assert f"{MODEL} loading A worker is loading the model." in text
    assert REASON not in text


def test_without_redis_the_workers_are_unknown(settings: Settings, database_url: str) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "sweep_seconds": 3600})
    with serving(away) as url, httpx.Client(base_url=url) as client:
        text = text_of(client)
    assert f"{MODEL} unknown Redis is unavailable" in text


def test_the_backlog_is_what_is_not_measured_yet(api: httpx.Client, sessions: Sessions) -> None:
    submit(sessions, [("a", "x"), ("b", "y"), ("a", "z")], texts_per_shard=2)
    commit(sessions, must_claim(sessions))
    submit(sessions, [("a", "x")] * 5, texts_per_shard=2)
    submit(sessions, [("a", "x")], model="other")
    with sessions() as session:
        assert backlog_by_model(session) == {MODEL: Backlog(2, 4, 6), "other": Backlog(1, 1, 1)}
    assert "Backlog 2 jobs, 4 shards, 6 texts" in text_of(api)


def test_measured_jobs_that_wait_for_their_statistics_have_no_shards(sessions: Sessions) -> None:
    submit(sessions, [("a", "x")])
    commit(sessions, must_claim(sessions))
    with sessions() as session:
        assert backlog_by_model(session) == {MODEL: Backlog(1, 0, 0)}


def test_the_rate_is_that_of_the_latest_jobs(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 4})
    start = datetime.now(UTC) - timedelta(seconds=60)
    times = {"started_at": start, "finished_at": start + timedelta(seconds=8)}
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(times))
    tokens = api.get(f"/v1/jobs/{job_id}").json()["progress"]["tokens"]
    submit(sessions, [("a", "x")] * 3)
    text = text_of(api)
    assert f"0.5 texts and {tokens / 8:.0f} tokens per second in the latest job" in text
    assert "3 texts; about 6 seconds at this rate" in text
