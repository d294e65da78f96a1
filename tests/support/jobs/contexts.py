"""A worker's context in this process, with a real model, database and Redis."""

import threading

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from layerscope.core import Model
from tests.support.jobs.jobs_by_hand import MODEL
from worker.observation.metrics import WorkerMetrics
from worker.observation.observation import Observation
from worker.runtime.context import WorkerContext
from worker.runtime.shutdown import ShutdownDeadline


def context_of(
    model: Model, sessions: sessionmaker[Session], redis: Redis, lease_seconds: float = 60
) -> WorkerContext:
    return WorkerContext(
        name=MODEL,
        model=model,
        measured_with={},
        max_tokens=model.max_tokens,
        sessions=sessions,
        redis=redis,
        deadline=ShutdownDeadline(threading.Event(), 60),
        lease_seconds=lease_seconds,
        drain_seconds=60,
        model_wait_seconds=3600,
        observation=Observation(MODEL, WorkerMetrics(MODEL)),
    )
