"""What Redis says about the living workers."""

from collections.abc import Iterator

import pytest
from redis import Redis
from rq import SimpleWorker

from app.jobs import notifications

SECONDS = 0.25


@pytest.fixture
def worker(redis: Redis) -> Iterator[SimpleWorker]:
    """A worker of the model `demo` that has registered itself."""
    worker = SimpleWorker([notifications.queue_of(redis, "demo")], connection=redis)
    worker.register_birth()  # type: ignore[no-untyped-call]
    yield worker
    redis.flushdb()


def test_workers_are_counted_by_model_until_their_keys_expire(redis: Redis, worker: SimpleWorker) -> None:
    assert notifications.workers_by_model(redis) == {"demo": 1}
    redis.delete(worker.key)  # as after its last heartbeat
    assert notifications.workers_by_model(redis) == {}


def test_reading_them_changes_no_timeout(redis_url: str, worker: SimpleWorker) -> None:
    with notifications.connect(redis_url, seconds=SECONDS) as redis:
        notifications.workers_by_model(redis)
        assert redis.connection_pool.make_connection().socket_timeout == SECONDS
