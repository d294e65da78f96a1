"""Workers that are asked to stop while they cannot react at once: they end with 0 and use no attempt."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.tables import Job, Shard
from tests.faults.support.injection import INJECTED, Injection
from tests.support.jobs.jobs_by_hand import submit
from tests.support.models.tiny import causal_model, save
from tests.support.programs.processes import wait_for

MODEL = "tiny"
STOP_SECONDS = 0.5
LEASE_SECONDS = 40  # a delayed finalization takes longer than this


@pytest.fixture
def injection(tmp_path: Path) -> Injection:
    return Injection(tmp_path / "faults")


@pytest.fixture
def worker(settings: Settings, injection: Injection, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder = save(causal_model(num_hidden_layers=2), tmp_path / "model")
    models = tmp_path / "models.toml"
    models.write_text(f'[{MODEL}]\nsource = "{folder}"\ndevice = "cpu"\n')
    variables = {
        "PYTHONPATH": INJECTED,
        "FAULTS_FOLDER": injection.folder,
        "LAYERSCOPE_HOME": settings.home,
        "LAYERSCOPE_MODELS": models,
        "LAYERSCOPE_DATABASE_URL": settings.database_url,
        "LAYERSCOPE_REDIS_URL": settings.redis_url,
        "LAYERSCOPE_SWEEP_SECONDS": settings.sweep_seconds,
        "LAYERSCOPE_LEASE_SECONDS": LEASE_SECONDS,
        "LAYERSCOPE_STOP_SECONDS": STOP_SECONDS,
    }
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    process = subprocess.Popen([sys.executable, "-m", "worker", "--model", MODEL], env=environment)
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_stop_during_a_long_forward_pass_uses_no_attempt(
    sessions: sessionmaker[Session], injection: Injection, worker: subprocess.Popen[bytes]
) -> None:
    injection.slow_down(60)
    submit(sessions, [("cpp", "int x;")], model=MODEL)
    wait_for(lambda: injection.events("measuring"), 60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert_untouched(sessions)


def assert_untouched(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        shard = session.scalars(select(Shard)).one()
    assert (shard.attempt, shard.lease_until, shard.done_at) == (0, None, None)


@pytest.mark.slow
def test_a_stop_during_a_long_finalization_uses_no_attempt(
    sessions: sessionmaker[Session], injection: Injection, worker: subprocess.Popen[bytes]
) -> None:
    stop_during_finalization(sessions, injection, worker, "computing")
    with sessions() as session:
        job, shard = session.scalars(select(Job)).one(), session.scalars(select(Shard)).one()
    assert (shard.attempt, shard.done_at is None) == (1, False)
    assert (job.finalization_attempts, job.outcome) == (0, None)


@pytest.mark.slow
def test_a_worker_stops_while_it_writes_statistics_for_a_long_time(
    sessions: sessionmaker[Session], injection: Injection, worker: subprocess.Popen[bytes]
) -> None:
    """The worker has locked the row of the job, so that it cannot give back the attempt there."""
    stop_during_finalization(sessions, injection, worker, "finalizing")
    with sessions() as session:
        assert session.scalars(select(Job.outcome)).one() is None


def stop_during_finalization(
    sessions: sessionmaker[Session], injection: Injection, worker: subprocess.Popen[bytes], point: str
) -> None:
    injection.arm("delay", point)
    submit(sessions, [("cpp", "int x;")], model=MODEL)
    wait_for(lambda: injection.events("delay"), 60)
    with sessions() as session:
        assert session.scalars(select(Job.finalization_attempts)).one() == 1
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def handles(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether the process has installed a handler for a signal."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_has_just_started_stops(
    sessions: sessionmaker[Session], worker: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    submit(sessions, [("cpp", "int x;")], model=MODEL)
    # The worker installs the handler of SIGTERM last; Python itself installs one for SIGINT.
    wait_for(lambda: handles(worker, signal.SIGTERM))
    worker.send_signal(number)
    assert worker.wait(20) == 0
    assert_untouched(sessions)


@pytest.mark.slow
def test_a_worker_that_loads_its_model_stops(
    sessions: sessionmaker[Session], injection: Injection, worker: subprocess.Popen[bytes]
) -> None:
    submit(sessions, [("cpp", "int x;")], model=MODEL)
    wait_for(lambda: injection.events("loading"), 60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert_untouched(sessions)
