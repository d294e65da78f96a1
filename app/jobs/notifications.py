"""Redis is only the bell: a message says that there is work for a model, and nothing else.

Whatever becomes of Redis and its messages, the work stands in Postgres and the sweep rings again.
"""

import logging

from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import AdvisoryLock, try_lock
from app.jobs import shards
from app.jobs.periodic import Periodic

DRAIN = "worker.tasks.drain"

log = logging.getLogger(__name__)


def connect(redis_url: str, *, retries: int = 0) -> Redis:
    """A connection that gives up soon: no request and no shard waits long for a Redis that is away."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), retries)
    return Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=2, retry=retry)


def queue_of(redis: Redis, model: str) -> Queue:
    return Queue(f"profile-{model}", connection=redis, serializer=JSONSerializer, default_timeout=-1)


def notify(redis: Redis, model: str) -> bool:
    """Say that there is work for a model; False where Redis is away.

    A message that still waits says the same: whoever takes it will look after our commit.
    """
    try:
        queue = queue_of(redis, model)
        if queue.is_empty():
            queue.enqueue(DRAIN, model, result_ttl=0, failure_ttl=60)
    except RedisError as error:
        log.warning("workers of %s could not be notified; the next sweep will do it: %s", model, error)
        return False
    return True


def workers_alive(redis: Redis, model: str) -> int:
    """Those whose key Redis has not let expire: no clock but its own is asked.

    Raises: RedisError.
    """
    return len(Worker.all(queue=queue_of(redis, model)))


def sweep(sessions: sessionmaker[Session], redis: Redis) -> list[str]:
    """Ring for every model with work that nobody is at; the models, or none where another process sweeps."""
    with sessions.begin() as session:
        if not try_lock(session, AdvisoryLock.SWEEP):
            return []
        models = list(shards.models_with_work(session))
    for model in models:  # outside the transaction: Redis may take its time
        notify(redis, model)
    return models


def sweeper(sessions: sessionmaker[Session], redis: Redis, seconds: float) -> Periodic:
    def work() -> bool:
        sweep(sessions, redis)
        return False

    return Periodic("sweeper", work, seconds)
