"""Limits what each owner or each client sends in a minute.

Redis counts for all API processes. While Redis is unavailable, each process counts what it receives.
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
    """`what`: the requests that are counted, such as "requests". `setting`: the setting of the limit."""

    def __init__(self, redis: Redis, redis_url: str, per_minute: int, what: str, setting: str) -> None:
        self._limit, self._what, self._setting = RateLimitItemPerMinute(per_minute), what, setting
        shared = RedisStorage(redis_url, connection_pool=redis.connection_pool, key_prefix="layerscope")
        self._shared = SlidingWindowCounterRateLimiter(shared)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._use_redis_at = -math.inf

    def count(self, sender: str) -> None:
        """Raises: TooManyRequests."""
        self._apply(sender, counting=True)

    def check(self, sender: str) -> None:
        """Counts nothing. Raises: TooManyRequests if `count` would raise it."""
        self._apply(sender, counting=False)

    def _apply(self, sender: str, *, counting: bool) -> None:
        if time.monotonic() >= self._use_redis_at:
            try:
                self._apply_in(self._shared, sender, counting)
                return
            except RedisError as error:
                self._use_redis_at = time.monotonic() + PAUSE_SECONDS
                log.warning("%s are counted per process, because Redis is unavailable: %s", self._what, error)
        self._apply_in(self._own, sender, counting)

    def _apply_in(self, limiter: SlidingWindowCounterRateLimiter, sender: str, counting: bool) -> None:
        allows = limiter.hit if counting else limiter.test
        if allows(self._limit, self._what, sender):
            return
        window = limiter.get_window_stats(self._limit, self._what, sender)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        raise TooManyRequests(
            f"{sender} has sent more than {self._limit.amount} {self._what} in a minute "
            f"(setting LAYERSCOPE_{self._setting.upper()}). Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
