"""A job whose model no worker has: workers of other models finalize it, since that needs no model."""

from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from rq import Worker
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import notifications, store
from app.tables import Job, layer_profile
from layerscope.core import load_model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL, claim, commit, submit
from tests.support.models.tiny import causal_model, save
from worker import tasks

Sessions = sessionmaker[Session]
GONE = "gone"


@pytest.fixture
def cancelled(sessions: Sessions) -> UUID:
    """A job of two shards. One was committed, then it was cancelled."""
    job_id = submit(sessions, [("cpp", "a")] * 4, model=GONE)
    first = claim(sessions, model=GONE)
    assert first is not None
    commit(sessions, first)
    with sessions.begin() as session:
        store.cancel(session, job_id)
    return job_id


def start_worker(redis: Redis, model: str) -> None:
    worker: Any = Worker([notifications.queue_of(redis, model)], connection=redis)
    worker.register_birth()


def waiting(redis: Redis, model: str) -> int:
    return notifications.queue_of(redis, model).count


def test_the_sweep_notifies_the_workers_of_other_models(
    sessions: Sessions, redis: Redis, cancelled: UUID
) -> None:
    start_worker(redis, MODEL)
    notifications.sweep(sessions, redis)
    assert (waiting(redis, GONE), waiting(redis, MODEL)) == (1, 1)


def test_a_job_with_workers_is_left_to_them(sessions: Sessions, redis: Redis, cancelled: UUID) -> None:
    start_worker(redis, MODEL)
    start_worker(redis, GONE)
    notifications.sweep(sessions, redis)
    assert (waiting(redis, GONE), waiting(redis, MODEL)) == (1, 0)


@pytest.mark.parametrize("served", [False, True])
def test_a_worker_of_another_model_finalizes_it(
    sessions: Sessions,
    redis: Redis,
    cancelled: UUID,
    served: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if served:
        start_worker(redis, GONE)
    model = load_model(save(causal_model(num_hidden_layers=2), tmp_path_factory.mktemp("tiny")))
    monkeypatch.setattr(tasks, "_context", context_of(model, sessions, redis))
    tasks.drain(MODEL)
    with sessions() as session:
        outcome = session.get_one(Job, cancelled).outcome
        rows = session.scalar(select(func.count()).select_from(layer_profile))
    assert (outcome, bool(rows)) == ((None, False) if served else ("cancelled", True))
