"""What workers report about shards that are not committed yet. It is only information, and only in Redis.

A worker writes the report of its claim once a second, and the report expires a few seconds later. The key
contains the epoch of the shard, and only reports of valid leases are read: what a killed worker reported
disappears, and what is committed is not counted a second time.
"""

import logging
import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from redis import Redis, RedisError

from app.jobs import notifications
from layerscope.names import Phase

REPORT_SECONDS = 1.0
EXPIRY_SECONDS = 6  # a busy machine may delay a report
PAUSE_SECONDS = 5.0  # after a failure, requests do not ask Redis for this time

log = logging.getLogger(__name__)


class LeaseId(NamedTuple):
    """A valid lease: its shard, and the epoch of the shard."""

    job_id: UUID
    number: int
    epoch: int


class Report(BaseModel):
    """How far a worker is with a shard.

    `share`: of the work of the shard, analyses included, from 0 to 1. `texts`: those of the shard. `tokens`:
    those that were measured. `measured`: by domain the texts that were measured, without those that failed.
    """

    model_config = ConfigDict(frozen=True)

    phase: Phase
    share: float
    texts: int
    tokens: int
    measured: dict[str, int]


@dataclass(frozen=True)
class Live:
    """What Redis says about unfinished jobs. `served`: the models of the living workers; None is unknown."""

    reports: Mapping[LeaseId, Report] = field(default_factory=dict)
    served: Collection[str] | None = None
    loading: Collection[str] = ()

    def is_without_worker(self, model: str) -> bool:
        return self.served is not None and model not in self.served


UNKNOWN = Live()


def write(redis: Redis, lease: LeaseId, report: Report) -> None:
    """Raises: RedisError."""
    redis.set(_key(lease), report.model_dump_json(), ex=EXPIRY_SECONDS)


def write_loading(redis: Redis, model: str, seconds: int = EXPIRY_SECONDS) -> None:
    """A worker is loading the model, or will do so within `seconds`. Raises: RedisError."""
    redis.set(_loading_key(model), 1, ex=seconds)


def _key(lease: LeaseId) -> str:
    return f"layerscope:report:{lease.job_id}:{lease.number}:{lease.epoch}"


def _loading_key(model: str) -> str:
    return f"layerscope:loading:{model}"


class Reports:
    """Reads reports. While Redis is unavailable, nothing is known."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._use_redis_at = -math.inf

    def close(self) -> None:
        self._redis.close()

    def read(self, leases: Iterable[LeaseId], waiting: Iterable[str]) -> Live:
        """The reports of these leases, and who serves the models of the jobs that wait."""
        wanted, models = list(leases), sorted(set(waiting))
        if not (wanted or models) or time.monotonic() < self._use_redis_at:
            return UNKNOWN
        try:
            found = self._redis.mget([*map(_key, wanted), *map(_loading_key, models)])
            served = notifications.models_served(self._redis) if models else None
        except RedisError as error:
            self._use_redis_at = time.monotonic() + PAUSE_SECONDS
            log.warning("only committed progress is shown, because Redis is unavailable: %s", error)
            return UNKNOWN
        reports = {
            lease: report for lease, raw in zip(wanted, found, strict=False) if (report := _parse(raw))
        }
        loading = {model for model, mark in zip(models, found[len(wanted) :], strict=True) if mark}
        return Live(reports, served, loading)


def _parse(raw: bytes | str | None) -> Report | None:
    """None also for the report of a worker of another version."""
    try:
        return None if raw is None else Report.model_validate_json(raw)
    except ValidationError:
        return None
