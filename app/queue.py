"""Redis is only the bell: a message says that there is work for a model, and nothing else.

Whatever becomes of Redis and its messages, the work stands in Postgres and the sweep rings again.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta

from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app import shards

DRAIN = "worker.tasks.drain"
SWEEP_LOCK = 0x53574550
ALIVE = timedelta(seconds=40)  # a worker beats at least every 15 seconds

log = logging.getLogger(__name__)


def connect(redis_url: str, *, retries: int = 10) -> Redis:
    """A connection that gives up after seconds; with few retries, soon enough for a request to wait."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), retries)
    return Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=5, retry=retry)


def queue_of(redis: Redis, model: str) -> Queue:
    return Queue(f"profile-{model}", connection=redis, serializer=JSONSerializer, default_timeout=-1)


def ring(redis: Redis, model: str) -> bool:
    """Say that there is work for a model; False where Redis is away.

    A message that still waits says the same: whoever takes it will look after our commit.
    """
    try:
        queue = queue_of(redis, model)
        if queue.is_empty():
            queue.enqueue(DRAIN, model, result_ttl=0, failure_ttl=60)
    except RedisError as error:
        log.warning("could not ring for %s, the sweep will: %s", model, error)
        return False
    return True


def workers_alive(redis: Redis, model: str) -> int:
    """Raises: RedisError."""
    oldest = datetime.now(UTC) - ALIVE
    workers = Worker.all(queue=queue_of(redis, model))
    return sum(w.last_heartbeat is not None and w.last_heartbeat > oldest for w in workers)


def sweep(sessions: sessionmaker[Session], redis: Redis) -> list[str]:
    """Ring for every model with work that nobody is at; the models, or none where another process sweeps."""
    with sessions.begin() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))):
            return []
        models = list(shards.models_with_work(session))
        for model in models:
            ring(redis, model)
        return models


class Sweeper:
    """Sweeps in a thread of its own while entered, whatever happens to Postgres or Redis."""

    def __init__(self, sessions: sessionmaker[Session], redis: Redis, seconds: float) -> None:
        self._sessions, self._redis, self._seconds = sessions, redis, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                sweep(self._sessions, self._redis)
            except SQLAlchemyError as error:
                log.warning("could not sweep: %s", error)
