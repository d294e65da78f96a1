"""The state of a job contains what workers report about shards that are not committed yet."""

import logging
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import notifications, reports, store
from app.jobs.reports import EXPIRY_SECONDS, Report, Reports
from app.jobs.shards import Claim
from app.jobs.view import present_one
from app.models import ModelConfig
from app.schemas import JobOut
from app.tables import Job, Shard, ShardDomain
from layerscope.names import Phase
from tests.support.jobs.jobs_by_hand import MODEL, commit, must_claim, submit

Sessions = sessionmaker[Session]
LONGEST = "m" * 64
TEXTS = [(("cpp", "python")[i % 2], f"text {i}") for i in range(8)]


def state(sessions: Sessions, redis: Redis, job_id: UUID) -> JobOut:
    models = {name: ModelConfig(source="demo/model") for name in (MODEL, LONGEST)}
    with sessions() as session:
        return present_one(session, session.get_one(Job, job_id), models, Reports(redis))


def report(redis: Redis, claim: Claim, **values: Any) -> None:
    found = Report(**({"phase": Phase.MEASURING, "share": 0.5, "texts": 4, "tokens": 30} | values))
    reports.write(redis, reports.LeaseId(claim.job_id, claim.number, claim.epoch), found)


def expired(sessions: Sessions) -> None:
    """As after a worker was killed."""
    with sessions.begin() as session:
        session.execute(update(Shard).values(lease_until="2000-01-01T00:00:00Z"))


def test_reported_texts_are_shown_apart_from_committed_ones(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=4)
    commit(sessions, must_claim(sessions), failing=[1])
    report(redis, must_claim(sessions), measured={"cpp": 2, "python": 1})
    shown = state(sessions, redis, job_id)
    assert (shown.progress.done, shown.progress.failed, shown.progress.measured) == (3, 1, 3)
    assert {name: of.measured for name, of in shown.domains.items()} == {"cpp": 2, "python": 1}
    assert shown.progress.share == (4 + 0.5 * 4) / 8
    assert shown.progress.phase == "measuring"
    assert shown.progress.tokens == sum(10 + ordinal for ordinal in (0, 2, 3))
    texts_per_second, seconds = shown.progress.texts_per_second, shown.progress.eta_seconds
    assert texts_per_second is not None
    tokens_per_second = (shown.progress.tokens + 30) * texts_per_second / 7
    assert shown.progress.tokens_per_second == pytest.approx(tokens_per_second, rel=0.01)
    assert seconds == pytest.approx(7 / texts_per_second / 6 * 2, abs=0.1)


def test_a_committed_shard_is_not_counted_twice(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=4)
    claim = must_claim(sessions)
    report(redis, claim, share=1.0, measured={"cpp": 2, "python": 2})
    assert state(sessions, redis, job_id).progress.measured == 4
    commit(sessions, claim)
    shown = state(sessions, redis, job_id).progress
    assert (shown.done, shown.measured, shown.share, shown.phase) == (4, 0, 0.5, "waiting")


def test_the_report_of_a_killed_worker_disappears(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=8)
    report(redis, must_claim(sessions), measured={"cpp": 3, "python": 3})
    assert 0 < redis.ttl(redis.keys("layerscope:report:*")[0]) <= EXPIRY_SECONDS
    expired(sessions)
    assert state(sessions, redis, job_id).progress.measured == 0
    again = must_claim(sessions)
    assert state(sessions, redis, job_id).progress.measured == 0
    report(redis, again, measured={"cpp": 1})
    assert state(sessions, redis, job_id).progress.measured == 1


def test_phases(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=8)
    assert state(sessions, redis, job_id).progress.phase == "waiting"
    reports.write_loading(redis, MODEL)
    assert state(sessions, redis, job_id).progress.phase == "loading"
    claim = must_claim(sessions)
    assert state(sessions, redis, job_id).progress.phase is None  # not reported yet
    report(redis, claim, phase=Phase.TOKENIZING, measured={})
    assert state(sessions, redis, job_id).progress.phase == "tokenizing"
    commit(sessions, claim)
    assert state(sessions, redis, job_id).progress.phase == "finalizing"
    cancelled = submit(sessions, TEXTS)
    with sessions.begin() as session:
        store.cancel(session, cancelled)
    assert state(sessions, redis, cancelled).progress.phase is None


def test_a_job_without_a_worker_says_so(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=8)
    sentence = f"No worker serves the model {MODEL}. The job waits until one is started."
    assert sentence in state(sessions, redis, job_id).warnings
    reports.write_loading(redis, MODEL)
    assert sentence not in state(sessions, redis, job_id).warnings
    redis.flushall()
    must_claim(sessions)
    assert sentence not in state(sessions, redis, job_id).warnings


def test_without_redis_only_committed_numbers_are_shown(
    sessions: Sessions, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=4)
    commit(sessions, must_claim(sessions))
    report(redis, must_claim(sessions), measured={"cpp": 2})
    caplog.set_level(logging.WARNING)
    with notifications.connect("redis://127.0.0.1:1") as unavailable:
        reader = Reports(unavailable)
        with sessions() as session:
            job = session.get_one(Job, job_id)
            shown = [present_one(session, job, {}, reader).progress for _ in range(3)]
    assert {(of.done, of.measured, of.phase) for of in shown} == {(4, 0, None)}
    assert len(caplog.records) == 1  # the others did not try


def test_the_report_of_another_version_is_ignored(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=8)
    report(redis, must_claim(sessions), measured={"cpp": 2})
    redis.set(redis.keys("layerscope:report:*")[0], '{"phase": "dreaming"}')
    assert state(sessions, redis, job_id).progress.measured == 0


def test_a_domain_with_few_texts_has_a_warning(sessions: Sessions, redis: Redis) -> None:
    texts = [("a", "x")] * 8 + [("b", "x")] * 7 + [("c", "x")] * 9
    job_id = submit(sessions, texts, texts_per_shard=100)
    commit(sessions, must_claim(sessions), failing=[0])
    assert state(sessions, redis, job_id).warnings == [
        "Fewer than 8 texts: a has 7, b has 7. Their intervals assume normal values."
    ]


@pytest.mark.parametrize("waits", [True, False])
def test_the_longest_running_job_has_at_most_4_kib(sessions: Sessions, redis: Redis, waits: bool) -> None:
    texts = [(f"-{i:063d}", "x") for i in range(16)]
    job_id = submit(sessions, texts, texts_per_shard=100)
    claim = must_claim(sessions)
    long = "\x01\U0001f300" * 10_000
    report(redis, claim, texts=16, measured={domain: 62_500 for domain, _ in texts}, tokens=10**13)
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        job.name, job.model, job.texts = "\U0001f300" * 100, LONGEST, 1_000_000
        job.measured_with = (job.measured_with or {}) | {"source": long, "revision": long}
        session.execute(update(ShardDomain).values(texts=62_500, done=31_250, failed=31_249, tokens=10**12))
    if waits:
        expired(sessions)
    shown = state(sessions, redis, job_id)
    assert len(shown.model_dump_json().encode()) <= 4096
    assert shown.warnings[0].startswith("No worker serves" if waits else "In the CSV files")
