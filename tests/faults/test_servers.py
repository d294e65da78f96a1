"""InputErrors 5 to 9: Redis and Postgres go and come back, connections are cut, bells are lost."""

import random
import shutil
import time

from app.db import make_engine, make_sessions
from app.jobs import notifications, store
from app.jobs.shards import ShardSize
from app.jobs.store import Draft
from app.schemas import Options
from tests.faults.house import MODEL, House
from tests.faults.scale import SCALE, SEED, TEXTS_PER_SHARD
from tests.faults.trial import Reference, progress_after, report, same_as, trial
from tests.support.processes import wait_for
from worker.runtime.rq_worker import ALIVE_SECONDS

SLOW = 0.5 if SCALE.name == "short" else 1.5
AWAY_SECONDS = 3.0
WITHOUT_REDIS_SECONDS = 5.0  # no request waits longer for it


def test_5_redis_comes_back_empty(house: House, reference: Reference) -> None:
    count = SCALE.numbers[5]
    with trial(house, reference, slow=SLOW, disturbances=count) as job:
        recoveries = []
        for turn in range(count):
            empty_by_death(house) if turn % 2 else empty_alive(house)
            recoveries.append(progress_after(house, time.monotonic(), SCALE.recovery_seconds))
    wait_for(lambda: alive_by_redis(house) == len(house.workers), 3 * ALIVE_SECONDS)
    report(5, "Redis killed and restarted empty; FLUSHALL", count, job.rows, recoveries)


def empty_alive(house: House) -> None:
    with house.redis() as redis:
        redis.flushall()


def empty_by_death(house: House) -> None:
    house.kill_valkey()
    shutil.rmtree(house.valkey_folder / "appendonlydir")
    house.start_valkey()


def alive_by_redis(house: House) -> int:
    with house.redis() as redis:
        return notifications.workers_alive(redis, MODEL)


def test_6_redis_cannot_be_reached(house: House, reference: Reference) -> None:
    count, pids = SCALE.numbers[6], house.processes()
    recoveries = []
    with trial(house, reference, slow=SLOW, disturbances=2 * count) as job:
        for turn in range(count):
            (house.kill_valkey if turn % 2 else house.stall_valkey)()
            submitted = submissions_meanwhile(house, SCALE.stalled_seconds)
            (house.start_valkey if turn % 2 else house.unstall_valkey)()
            back = time.monotonic()
            recoveries.append(progress_after(house, back, SCALE.recovery_seconds))
            for job_id in submitted:
                state = house.client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
                assert state["status"] == "succeeded"
    assert house.processes() == pids  # nobody had to be started again
    assert job.most_attempts() == 1  # nor was a shard kept waiting until its lease ran out
    report(6, f"Redis unreachable for {SCALE.stalled_seconds:g} s", count, job.rows, recoveries)


def submissions_meanwhile(house: House, seconds: float) -> list[str]:
    """Accepted with 202, one a second, while readiness says degraded."""
    submitted: list[str] = []
    end = time.monotonic() + seconds
    while not submitted or time.monotonic() < end:
        answer = house.client.post("/v1/jobs", json={"model": MODEL, "texts": ["while Redis is away"]})
        assert answer.status_code == 202, answer.text
        assert answer.elapsed.total_seconds() < WITHOUT_REDIS_SECONDS
        submitted.append(answer.json()["id"])
        ready = house.client.get("/health/ready")
        assert (ready.status_code, ready.json().get("degraded")) == (200, ["redis"])
        time.sleep(1)
    return submitted


def test_7_postgres_stops_at_once_and_comes_back(house: House, reference: Reference) -> None:
    count = SCALE.numbers[7]
    recoveries = []
    pids = house.processes()
    with trial(house, reference, slow=SLOW, disturbances=2 * count, outage=True) as job:
        for _ in range(count):
            wait_for(lambda: house.injection.events("claimed", since=time.monotonic() - 1), 30)
            house.stop_postgres()
            time.sleep(AWAY_SECONDS)
            house.start_postgres()
            recoveries.append(progress_after(house, time.monotonic(), SCALE.recovery_seconds))
    assert house.processes() == pids  # nobody had to be started again
    report(7, "Postgres stopped in immediate mode, back after 3 s", count, job.rows, recoveries)


def test_8_connections_are_cut_again_and_again(house: House, reference: Reference) -> None:
    draw, cut = random.Random(SEED), 0
    pids = house.processes()
    with trial(house, reference, slow=SLOW, disturbances=5, outage=True) as job:
        end = time.monotonic() + SCALE.hammered_seconds
        while time.monotonic() < end:
            cut += cut_a_connection(house, draw)
            time.sleep(0.2)
        recovery = progress_after(house, time.monotonic(), SCALE.recovery_seconds)
    assert house.processes() == pids
    assert cut >= SCALE.hammered_seconds
    report(8.1, "pg_terminate_backend, 5 a second", cut, job.rows, [recovery])


def cut_a_connection(house: House, draw: random.Random) -> int:
    with house.database() as connection:
        query = (
            "select pid from pg_stat_activity where datname = current_database()"
            " and backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        pids = [pid for (pid,) in connection.execute(query)]
        if pids:
            connection.execute("select pg_terminate_backend(%s)", (draw.choice(pids),))
        return min(1, len(pids))


def test_8_connections_are_lost_while_committing(house: House, reference: Reference) -> None:
    count, begun = SCALE.numbers[8], time.monotonic()
    with trial(house, reference, slow=SLOW, disturbances=2 * count) as job:
        for _ in range(count):
            house.injection.inflict("cut", "before")
            house.injection.inflict("cut", "after")
    assert job.most_attempts() == 1  # nothing was measured again
    assert house.injection.events("fenced", since=begun) == []
    report(8.2, "connection lost while committing, before and after", 2 * count, job.rows)


def test_9_the_bell_is_rung_a_hundred_times(house: House, reference: Reference) -> None:
    with trial(house, reference) as job, house.redis() as redis:
        for _ in range(100):
            notifications.queue_of(redis, MODEL).enqueue(
                notifications.DRAIN, MODEL, result_ttl=0, failure_ttl=60
            )
    assert job.most_attempts() == 1
    with house.redis() as redis:
        wait_for(lambda: notifications.queue_of(redis, MODEL).is_empty(), 30)
    report(9.1, "the bell notified 100 times for one job", 100, job.rows)


def test_9_the_bell_is_lost(house: House, small: Reference) -> None:
    recoveries = []
    for _ in range(SCALE.numbers[9]):
        job_id = submit_without_a_bell(house, small.texts)
        submitted = time.monotonic()
        state = house.client.get(f"/v1/jobs/{job_id}", params={"wait": 20}).json()
        assert state["status"] == "succeeded"
        claims = [event.at for event in house.injection.events("claimed") if event.facts["job"] == job_id]
        recoveries.append(claims[0] - submitted)
        rows = same_as(house, job_id, small)
    assert max(recoveries) <= SCALE.recovery_seconds - SCALE.lease_seconds
    report(9.2, "the bell lost", SCALE.numbers[9], rows, recoveries)


def submit_without_a_bell(house: House, texts: list[tuple[str, str]]) -> str:
    engine = make_engine(house.servers.database_url)
    with make_sessions(engine).begin() as session:
        draft = Draft(model=MODEL, options=Options(components=["block"]).model_dump())
        by_domain = sorted(texts, key=lambda pair: pair[0])
        job, _ = store.submit(session, draft, by_domain, ShardSize(10**9, TEXTS_PER_SHARD))
    engine.dispose()
    return str(job.id)
