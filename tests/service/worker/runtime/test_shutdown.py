"""A worker that is asked to stop starts no new work and releases its shard immediately."""

import os
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards
from app.tables import Job, Shard
from layerscope.core import load_model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL, commit, must_claim, submit
from tests.support.models.tiny import causal_model, save
from worker import tasks
from worker.finalization import statistics
from worker.finalization.compare_domains import compare_domains
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease
from worker.runtime.shutdown import ShutdownDeadline

Sessions = sessionmaker[Session]
LEASE_SECONDS = 0.6


@pytest.fixture
def context(sessions: Sessions, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> WorkerContext:
    model = load_model(save(causal_model(num_hidden_layers=2), tmp_path_factory.mktemp("tiny")))
    return context_of(model, sessions, redis, LEASE_SECONDS)


def test_after_a_stop_that_came_during_a_finalization_no_shard_is_claimed(
    context: WorkerContext, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = submit(sessions, [("cpp", "a"), ("python", "b")])
    commit(sessions, must_claim(sessions))
    waiting = submit(sessions, [("cpp", "a")])

    def stop_and_compare(*given: Any) -> Any:
        context.deadline.stopping.set()
        return compare_domains(*given)

    monkeypatch.setattr(statistics, "compare_domains", stop_and_compare)
    monkeypatch.setattr(tasks, "_context", context)
    tasks.drain(MODEL)
    with sessions() as session:
        assert session.get_one(Job, due).outcome == "succeeded"
        assert session.scalars(select(Shard.epoch).where(Shard.job_id == waiting)).one() == 0


def test_a_shard_that_was_given_back_is_not_renewed(
    context: WorkerContext, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(sessions, [("cpp", "a")])
    claim = must_claim(sessions)
    leaving = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: leaving.set())
    hasty = replace(context, deadline=ShutdownDeadline(threading.Event(), 0))
    with Lease(hasty, claim):
        hasty.deadline.stopping.set()
        assert leaving.wait(10)
        time.sleep(LEASE_SECONDS)
        with sessions() as session:
            assert session.scalars(select(Shard.lease_until)).one() is None
    with sessions() as session:
        assert shards.models_with_work(session) == [MODEL]
