"""Real worker processes on real servers: a job goes in, its statistics come out, whatever happens."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from redis import Redis
from rq.job import Job as Message
from rq.serializers import JSONSerializer
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import counts, notifications, store
from app.local.commands import CANNOT_LOAD
from app.local.servers import Servers
from app.tables import Job, Shard, StoredProfile, Text, layer_profile
from layerscope.core import load_model, profile_texts
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.jobs.jobs_by_hand import submit
from tests.support.models.tiny import causal_model, save

Sessions = sessionmaker[Session]
Process = subprocess.Popen[bytes]
Start = Callable[..., Process]
TEXTS = [(("cpp", "python")[i % 2], f"text number {i} " * (1 + i % 7)) for i in range(40)]
MODEL = "tiny"
LONG_RUNNING = "long_running_worker"  # the same model under another name: a queue of its own
END_SECONDS = 120


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(causal_model(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def environment(
    model_folder: Path,
    embedded_servers: Servers,
    migrated_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    home = tmp_path_factory.mktemp("worker")
    models = home / "models.toml"
    tables = {MODEL: model_folder, LONG_RUNNING: model_folder, "absent": "nowhere/at/all"}
    models.write_text("".join(f'[{name}]\nsource = "{source}"\n' for name, source in tables.items()))
    return {
        **os.environ,
        "LAYERSCOPE_HOME": str(home),
        "LAYERSCOPE_DATABASE_URL": migrated_database_url,
        "LAYERSCOPE_REDIS_URL": embedded_servers.redis_url,
        "LAYERSCOPE_MODELS": str(models),
        "LAYERSCOPE_LEASE_SECONDS": "2",
        "LAYERSCOPE_SWEEP_SECONDS": "0.5",
    }


def start_worker(environment: dict[str, str], model: str) -> Process:
    return subprocess.Popen([sys.executable, "-m", "worker", "--model", model], env=environment)


@pytest.fixture
def start(environment: dict[str, str], redis: Redis) -> Iterator[Start]:
    """Starts workers of a model; what still runs at the end is killed."""
    started: list[Process] = []

    def start(model: str = MODEL) -> Process:
        started.append(start_worker(environment, model))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def long_running_worker(environment: dict[str, str]) -> Iterator[None]:
    """One worker for all tests that only need that there is one: loading takes seconds."""
    process = start_worker(environment, LONG_RUNNING)
    yield
    process.terminate()
    assert process.wait(END_SECONDS) == 0


def wait_until(true: Callable[[], bool], seconds: float = END_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def finished(sessions: Sessions, job_id: UUID) -> Job:
    def job() -> Job:
        with sessions() as session:
            return store.get(session, job_id)

    wait_until(lambda: job().outcome is not None)
    return job()


def values(sessions: Sessions, job_id: UUID) -> dict[int, bytes]:
    with sessions() as session:
        rows = session.execute(
            select(StoredProfile.ordinal, StoredProfile.values).where(StoredProfile.job_id == job_id)
        )
        return {row.ordinal: row.values for row in rows}


def test_every_text_is_measured_as_the_core_measures_it(
    sessions: Sessions, long_running_worker: None, model_folder: Path
) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=7, model=LONG_RUNNING)
    job = finished(sessions, job_id)
    assert job.status == "succeeded"
    stored = values(sessions, job_id)
    assert sorted(stored) == list(range(len(TEXTS)))
    for text in profile_texts(load_model(model_folder), [text for _, text in TEXTS]):
        got = np.frombuffer(stored[text.ordinal], "<f8").reshape(text.values.shape)
        np.testing.assert_allclose(got, text.values, rtol=1e-4, atol=1e-6)


def test_the_layers_statistics_are_those_of_the_texts(sessions: Sessions, long_running_worker: None) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=7, model=LONG_RUNNING)
    finished(sessions, job_id)
    with sessions() as session:
        rows = session.execute(select(layer_profile).where(layer_profile.c.job_id == job_id)).mappings().all()
        texts = session.execute(select(Text.ordinal, Text.domain).where(Text.job_id == job_id))
        domains = {row.ordinal: row.domain for row in texts}
    arrays = {
        ordinal: np.frombuffer(raw, "<f8").reshape(len(COMPONENTS), len(SCOPES), -1, len(METRICS))
        for ordinal, raw in values(sessions, job_id).items()
    }
    assert {row["domain"] for row in rows} == {"*", "cpp", "python"}
    for row in rows:
        chosen = [o for o, domain in domains.items() if row["domain"] in ("*", domain)]
        c, s = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"])
        for m, metric in enumerate(METRICS):
            sample = np.array([arrays[o][c, s, row["layer"], m] for o in chosen])
            assert row["texts"] == len(sample)
            assert row[metric] == pytest.approx(sample.mean(), rel=1e-12, abs=1e-15)
            assert row[f"{metric}_var"] == pytest.approx(sample.var(ddof=1), rel=1e-9, abs=1e-18)


def test_a_text_that_cannot_be_profiled_does_not_fail_its_job(
    sessions: Sessions, long_running_worker: None
) -> None:
    job_id = submit(sessions, [*TEXTS[:3], ("cpp", "")], model=LONG_RUNNING)
    assert finished(sessions, job_id).status == "succeeded"
    with sessions() as session:
        assert sum(d.failed for d in counts.progress(session, [job_id])[job_id]) == 1
        error = session.scalar(select(StoredProfile.error).where(StoredProfile.ordinal == 3))
    assert error == "the text is empty"


def test_a_job_of_which_no_text_succeeds_fails_and_says_why(
    sessions: Sessions, long_running_worker: None
) -> None:
    job_id = submit(sessions, [("cpp", "")], model=LONG_RUNNING)
    job = finished(sessions, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert "the text is empty" in job.error["detail"]


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_fails_its_jobs_and_the_worker(
    sessions: Sessions, start: Start
) -> None:
    job_id = submit(sessions, TEXTS, model="absent")
    worker = start("absent")
    job = finished(sessions, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert "nowhere/at/all" in job.error["detail"]
    assert worker.wait(END_SECONDS) == CANNOT_LOAD


def test_a_shard_that_cannot_be_stored_fails_its_job_and_says_why(
    sessions: Sessions, long_running_worker: None
) -> None:
    """A row that already exists is a bug of ours, which no number of attempts fixes."""
    job_id = submit(sessions, TEXTS, texts_per_shard=7, model="no worker's")
    with sessions.begin() as session:
        row = StoredProfile(job_id=job_id, ordinal=10, tokens=0, truncated=False, error="of another job")
        session.add(row)
        session.get_one(Job, job_id).model = LONG_RUNNING
    job = finished(sessions, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert re.search(r"Texts 7 to 13 could not be measured and stored in \d+ attempts", job.error["detail"])
    assert "duplicate key" in job.error["detail"]
    assert set(range(7)) < values(sessions, job_id).keys()
    with sessions() as session:
        leased = select(func.count()).where(Shard.job_id == job_id, Shard.lease_until.is_not(None))
        assert session.scalar(leased) == 0
    later = submit(sessions, TEXTS, model=LONG_RUNNING)
    assert finished(sessions, later).status == "succeeded"


@pytest.mark.slow
def test_a_killed_workers_shard_is_measured_by_another(sessions: Sessions, start: Start) -> None:
    job_id = submit(sessions, TEXTS * 25, texts_per_shard=100, model=MODEL)
    first = start()

    def started() -> bool:
        with sessions() as session:
            return session.scalar(select(func.max(Shard.attempt))) == 1

    wait_until(started)
    first.kill()
    first.wait()
    start()
    assert finished(sessions, job_id).status == "succeeded"
    assert len(values(sessions, job_id)) == len(TEXTS) * 25


@pytest.mark.slow
def test_two_workers_share_a_job_and_every_text_has_one_row(sessions: Sessions, start: Start) -> None:
    job_id = submit(sessions, TEXTS * 10, texts_per_shard=10, model=MODEL)
    start()
    start()
    assert finished(sessions, job_id).status == "succeeded"
    assert sorted(values(sessions, job_id)) == list(range(len(TEXTS) * 10))


def test_a_lost_notification_costs_one_sweep(sessions: Sessions, long_running_worker: None) -> None:
    job_id = submit(sessions, TEXTS, model=LONG_RUNNING)  # without a notification
    assert finished(sessions, job_id).status == "succeeded"


@pytest.mark.slow
def test_sigterm_ends_a_worker_and_wastes_no_attempt(sessions: Sessions, start: Start) -> None:
    job_id = submit(sessions, TEXTS * 50, texts_per_shard=50, model=MODEL)
    for _ in range(2):
        worker = start()
        count = len(values(sessions, job_id))
        wait_until(lambda count=count: len(values(sessions, job_id)) > count)  # type: ignore[misc]
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
        assert worker.wait(25) == 0
    start()
    finished(sessions, job_id)
    with sessions() as session:
        assert session.scalar(select(func.max(Shard.attempt))) == 1


def test_a_cancelled_job_is_finalized_with_what_was_committed(
    sessions: Sessions, long_running_worker: None
) -> None:
    job_id = submit(sessions, TEXTS * 100, texts_per_shard=20, model=LONG_RUNNING)
    wait_until(lambda: len(values(sessions, job_id)) > 0)
    with sessions.begin() as session:
        store.cancel(session, job_id)
    job = finished(sessions, job_id)
    assert job.status == "cancelled"
    committed = len(values(sessions, job_id))
    assert 0 < committed < len(TEXTS) * 100
    with sessions() as session:
        pooled = select(func.max(layer_profile.c.texts)).where(layer_profile.c.domain == "*")
        assert session.scalar(pooled) == committed
    time.sleep(1)
    assert len(values(sessions, job_id)) == committed


def test_a_message_naming_another_function_is_not_obeyed(
    sessions: Sessions, redis: Redis, long_running_worker: None, tmp_path: Path
) -> None:
    forged = tmp_path / "forged"
    notified = notifications.queue_of(redis, LONG_RUNNING)
    message = Message.create("os.system", (f"touch {forged}",), connection=redis, serializer=JSONSerializer)
    message.origin = notified.name
    notified.enqueue_job(message)
    job_id = submit(sessions, TEXTS, model=LONG_RUNNING)
    notifications.notify(redis, LONG_RUNNING)
    assert finished(sessions, job_id).status == "succeeded"
    wait_until(lambda: notified.is_empty())
    assert not forged.exists()
