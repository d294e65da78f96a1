"""Faults 5 to 9: Redis and PostgreSQL stop and return, connections are lost, notifications are lost."""

import random
import shutil
import time

import pytest

from app.db import make_engine, make_sessions
from app.jobs import notifications, store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from app.schemas import Options
from tests.faults.support.disturbed_job import (
    Reference,
    assert_same_files,
    disturbed_job,
    report,
    seconds_to_commit,
)
from tests.faults.support.scale import SCALE, SEED, TEXTS_PER_SHARD
from tests.faults.support.service import MODEL, RunningService
from tests.support.programs.processes import wait_for
from worker.runtime.rq_worker import ALIVE_SECONDS

pytestmark = pytest.mark.slow

SLOW = 0.5 if SCALE.name == "short" else 1.5
POSTGRES_DOWN_SECONDS = 3.0
REQUEST_SECONDS = 5.0  # the longest time that a request waits for Redis


def test_5_redis_returns_empty(service: RunningService, reference: Reference) -> None:
    count = SCALE.numbers[5]
    with disturbed_job(service, reference, slow=SLOW, disturbances=count) as job:
        recoveries = []
        for turn in range(count):
            restart_empty(service) if turn % 2 else flush(service)
            recoveries.append(seconds_to_commit(service, time.monotonic(), SCALE.recovery_seconds))
    wait_for(lambda: alive_by_redis(service) == len(service.workers), 3 * ALIVE_SECONDS)
    report(5, "Redis killed and restarted empty; FLUSHALL", count, job.rows, recoveries)


def flush(service: RunningService) -> None:
    with service.redis() as redis:
        redis.flushall()


def restart_empty(service: RunningService) -> None:
    service.kill_valkey()
    shutil.rmtree(service.valkey_folder / "appendonlydir")
    service.start_valkey()


def alive_by_redis(service: RunningService) -> int:
    with service.redis() as redis:
        return notifications.workers_by_model(redis)[MODEL]


def test_6_redis_is_unreachable(service: RunningService, reference: Reference) -> None:
    count, pids = SCALE.numbers[6], service.processes()
    recoveries = []
    with disturbed_job(service, reference, slow=SLOW, disturbances=2 * count) as job:
        for turn in range(count):
            with service.killed_valkey() if turn % 2 else service.paused_valkey():
                submitted = submit_without_redis(service, SCALE.unreachable_seconds)
            available = time.monotonic()
            recoveries.append(seconds_to_commit(service, available, SCALE.recovery_seconds))
            for job_id in submitted:
                state = service.client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
                assert state["status"] == "succeeded"
    assert service.processes() == pids  # no process had to be restarted
    assert job.most_attempts() == 1  # no lease expired
    report(6, f"Redis unreachable for {SCALE.unreachable_seconds:g} s", count, job.rows, recoveries)


def submit_without_redis(service: RunningService, seconds: float) -> list[str]:
    """Submit one job per second. The API accepts each with 202 and reports itself as degraded."""
    submitted: list[str] = []
    end = time.monotonic() + seconds
    while not submitted or time.monotonic() < end:
        answer = service.client.post("/v1/jobs", json={"model": MODEL, "texts": ["while Redis is away"]})
        assert answer.status_code == 202, answer.text
        assert answer.elapsed.total_seconds() < REQUEST_SECONDS
        submitted.append(answer.json()["id"])
        ready = service.client.get("/health/ready")
        assert (ready.status_code, ready.json().get("degraded")) == (200, ["redis"])
        time.sleep(1)
    return submitted


def test_7_postgres_stops_immediately_and_returns(service: RunningService, reference: Reference) -> None:
    count = SCALE.numbers[7]
    recoveries = []
    pids = service.processes()
    with disturbed_job(service, reference, slow=SLOW, disturbances=2 * count, allows_503=True) as job:
        for _ in range(count):
            wait_for(lambda: service.injection.events("claimed", since=time.monotonic() - 1), 30)
            service.stop_postgres()
            time.sleep(POSTGRES_DOWN_SECONDS)
            service.start_postgres()
            recoveries.append(seconds_to_commit(service, time.monotonic(), SCALE.recovery_seconds))
    assert service.processes() == pids  # no process had to be restarted
    said = f"PostgreSQL stopped in immediate mode, restarted after {POSTGRES_DOWN_SECONDS:g} s"
    report(7, said, count, job.rows, recoveries)


def test_8_connections_are_terminated_repeatedly(service: RunningService, reference: Reference) -> None:
    draw, terminated = random.Random(SEED), 0
    pids = service.processes()
    with disturbed_job(service, reference, slow=SLOW, disturbances=5, allows_503=True) as job:
        end = time.monotonic() + SCALE.disconnecting_seconds
        while time.monotonic() < end:
            terminated += terminate_a_connection(service, draw)
            time.sleep(0.2)
        recovery = seconds_to_commit(service, time.monotonic(), SCALE.recovery_seconds)
    assert service.processes() == pids
    assert terminated >= SCALE.disconnecting_seconds
    report(8.1, "pg_terminate_backend, 5 a second", terminated, job.rows, [recovery])


def terminate_a_connection(service: RunningService, draw: random.Random) -> int:
    with service.database() as connection:
        query = (
            "select pid from pg_stat_activity where datname = current_database()"
            " and backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        pids = [pid for (pid,) in connection.execute(query)]
        if pids:
            connection.execute("select pg_terminate_backend(%s)", (draw.choice(pids),))
        return min(1, len(pids))


def test_8_connections_are_lost_during_a_commit(service: RunningService, reference: Reference) -> None:
    count, begun = SCALE.numbers[8], time.monotonic()
    with disturbed_job(service, reference, slow=SLOW, disturbances=2 * count) as job:
        for _ in range(count):
            service.injection.inject("disconnect", "before")
            service.injection.inject("disconnect", "after")
    assert job.most_attempts() == 1  # nothing was measured again
    assert service.injection.events("fenced", since=begun) == []
    said = "connection lost during a commit, before and after it takes effect"
    report(8.2, said, 2 * count, job.rows)


def test_9_the_notification_is_sent_a_hundred_times(service: RunningService, reference: Reference) -> None:
    with disturbed_job(service, reference) as job, service.redis() as redis:
        for _ in range(100):
            notifications.queue_of(redis, MODEL).enqueue(
                notifications.DRAIN, MODEL, result_ttl=0, failure_ttl=60
            )
    assert job.most_attempts() == 1
    with service.redis() as redis:
        wait_for(lambda: notifications.queue_of(redis, MODEL).is_empty(), 30)
    report(9.1, "the notification sent 100 times for one job", 100, job.rows)


def test_9_the_notification_is_lost(service: RunningService, small_reference: Reference) -> None:
    recoveries = []
    for _ in range(SCALE.numbers[9]):
        job_id = submit_without_notification(service, small_reference.texts)
        submitted = time.monotonic()
        state = service.client.get(f"/v1/jobs/{job_id}", params={"wait": 20}).json()
        assert state["status"] == "succeeded"
        claims = [event.at for event in service.injection.events("claimed") if event.facts["job"] == job_id]
        recoveries.append(claims[0] - submitted)
        rows = assert_same_files(service, job_id, small_reference)
    assert max(recoveries) <= SCALE.recovery_seconds - SCALE.lease_seconds
    report(9.2, "the notification lost", SCALE.numbers[9], rows, recoveries)


def submit_without_notification(service: RunningService, texts: list[tuple[str, str]]) -> str:
    engine = make_engine(service.servers.database_url)
    with make_sessions(engine).begin() as session:
        draft = Draft(model=MODEL, options=Options.model_validate({"components": ["block"]}).model_dump())
        by_domain = sorted(texts, key=lambda pair: pair[0])
        job, _ = store.submit(session, draft, by_domain, ShardSize(10**9, TEXTS_PER_SHARD))
    engine.dispose()
    return str(job.id)
