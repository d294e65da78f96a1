"""A worker's station in this process, with a real model, database and Redis."""

import threading

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from layerscope.core import Model
from tests.service.jobs_by_hand import MODEL
from worker.runtime.context import Station
from worker.runtime.shutdown import Patience


def station_of(
    model: Model, sessions: sessionmaker[Session], redis: Redis, lease_seconds: float = 60
) -> Station:
    return Station(
        name=MODEL,
        model=model,
        measured_with={},
        max_tokens=model.max_tokens,
        sessions=sessions,
        redis=redis,
        patience=Patience(threading.Event(), 60),
        lease_seconds=lease_seconds,
        drain_seconds=60,
    )
