"""Limits the requests of each owner per minute.

Redis counts them for all API processes. While Redis is unavailable, each process counts its own requests.
"""

import logging
import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis, RedisError

from app.errors import TooManyRequests

PAUSE_SECONDS = 5.0  # after a failure, requests do not wait for Redis for this time

log = logging.getLogger(__name__)


class RequestRate:
    def __init__(self, redis: Redis, redis_url: str, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        shared = RedisStorage(redis_url, connection_pool=redis.connection_pool, key_prefix="layerscope")
        self._shared = SlidingWindowCounterRateLimiter(shared)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._use_redis_at = -math.inf

    def count(self, owner: str) -> None:
        """Raises: TooManyRequests."""
        if time.monotonic() >= self._use_redis_at:
            try:
                self._count(self._shared, owner)
                return
            except RedisError as error:
                self._use_redis_at = time.monotonic() + PAUSE_SECONDS
                log.warning("requests are counted per process, because Redis is unavailable: %s", error)
        self._count(self._own, owner)

    def _count(self, limiter: SlidingWindowCounterRateLimiter, owner: str) -> None:
        if limiter.hit(self._limit, owner):
            return
        seconds = limiter.get_window_stats(self._limit, owner).reset_time - time.time()
        raise TooManyRequests(
            f"{owner} has sent more than {self._limit.amount} requests in a minute "
            "(setting LAYERSCOPE_OWNER_REQUESTS_PER_MINUTE).",
            headers={"Retry-After": str(max(1, math.ceil(seconds)))},
        )
