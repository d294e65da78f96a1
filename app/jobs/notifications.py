"""Notifies workers through Redis. A message says only that there is work for a model.

The work itself is in PostgreSQL. If a message or all of Redis is lost, the next sweep notifies again.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable

from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import AdvisoryLock, try_lock
from app.jobs import shards
from app.jobs.periodic import Periodic
from app.observation.sweeps import SweepResult

DRAIN = "worker.tasks.drain"
_PREFIX = "profile-"  # of the names of queues
NO_TIMEOUT, NO_RESULT, FAILURE_TTL = -1, 0, 60  # of messages

log = logging.getLogger(__name__)


def connect(redis_url: str, *, retries: int = 0, seconds: float = 2) -> Redis:
    """A connection with short timeouts: neither requests nor shards wait long for Redis.

    `seconds`: the timeout of each attempt to connect, to send and to receive.
    """
    retry = Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), retries)
    return Redis.from_url(redis_url, socket_connect_timeout=seconds, socket_timeout=seconds, retry=retry)


def queue_of(redis: Redis, model: str) -> Queue:
    return Queue(_PREFIX + model, connection=redis, serializer=JSONSerializer, default_timeout=NO_TIMEOUT)


def notify(redis: Redis, model: str) -> bool:
    """Notify the workers of a model; False if Redis is unavailable.

    If a message already waits, no other is sent: the worker that takes it looks for work after our commit.
    """
    try:
        queue = queue_of(redis, model)
        if queue.is_empty():
            queue.enqueue(DRAIN, model, result_ttl=NO_RESULT, failure_ttl=FAILURE_TTL)
    except RedisError as error:
        log.warning("workers of %s could not be notified; the next sweep will do it: %s", model, error)
        return False
    return True


def workers_by_model(redis: Redis) -> Counter[str]:
    """The numbers of workers whose keys have not expired, by the clock of Redis. Raises: RedisError.

    RQ's `Worker.all` would raise the timeout of all connections that the pool makes later to minutes.
    """
    with redis.pipeline(transaction=False) as pipeline:
        for key in Worker.all_keys(connection=redis):
            pipeline.hget(key, "queues")
        found = pipeline.execute()
    queues = [queue for names in found if names is not None for queue in names.decode().split(",")]
    return Counter(queue.removeprefix(_PREFIX) for queue in queues)


def models_served(redis: Redis) -> set[str]:
    """The models that a living worker has. Raises: RedisError."""
    return set(workers_by_model(redis))


def sweep(sessions: sessionmaker[Session], redis: Redis) -> list[str] | None:
    """Notify for each model with free work. Returns these models; None if another process is sweeping.

    Workers of all models are notified of jobs to finalize whose model no worker has.
    """
    with sessions.begin() as session:
        if not try_lock(session, AdvisoryLock.SWEEP):
            return None
        models = list(shards.models_with_work(session))
        due = set(shards.models_with_due_jobs(session))
    for model in _to_notify(redis, models, due):  # outside the transaction, because Redis may be slow
        notify(redis, model)
    return models


def _to_notify(redis: Redis, models: Collection[str], due: set[str]) -> Iterable[str]:
    if not due:
        return models
    try:
        served = models_served(redis)
    except RedisError:
        return models
    return models if due <= served else served.union(models)


def sweeper(
    sessions: sessionmaker[Session], redis: Redis, seconds: float, count: Callable[[SweepResult], None]
) -> Periodic:
    """`count` is called after each sweep."""

    def work() -> bool:
        result = SweepResult.FAILED
        try:
            result = SweepResult.SKIPPED if sweep(sessions, redis) is None else SweepResult.COMPLETED
        finally:
            count(result)
        return False

    return Periodic("sweeper", work, seconds)
