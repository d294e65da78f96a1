"""What Prometheus sees of the work, read from the database and from Redis at each scrape.

All API processes show the same numbers. What one process does is counted where it is done.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy.orm import Session, sessionmaker

from app.db import UNAVAILABLE, set_for_transaction
from app.jobs import counts, notifications
from app.jobs.counts import WaitingWork

DATABASE_LIMIT = "2s"  # for each query of a scrape

WAITING_WORK = (  # the fields of WaitingWork: name of the metric, documentation, unit
    ("texts", "layerscope_backlog_texts", "Texts of unfinished jobs that are not committed yet", ""),
    ("tokens", "layerscope_backlog_tokens", "Estimated tokens of these texts", ""),
    ("free", "layerscope_waiting_shards", "Shards that no worker holds", ""),
    ("leased", "layerscope_leased_shards", "Shards that a worker holds", ""),
    ("expired", "layerscope_expired_leases", "Shards whose lease expired and that wait again", ""),
    (
        "oldest_seconds",
        "layerscope_oldest_waiting_shard_seconds",
        "How long the oldest of the waiting shards has been waiting",
        "seconds",
    ),
)


class WorkCollector(Collector):
    """The state of the work. The requests are counted even while database and Redis are unavailable.

    `models`: those of the model list.
    """

    def __init__(self, sessions: sessionmaker[Session], redis: Redis, models: Collection[str]) -> None:
        self._sessions, self._redis, self._models = sessions, redis, models

    def describe(self) -> list[GaugeMetricFamily]:
        """Without it the registry would ask the database when the service starts."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._database()
        yield from self._workers()

    def _database(self) -> Iterator[GaugeMetricFamily]:
        documentation = f"Whether the database answered each query of the scrape within {DATABASE_LIMIT}"
        try:
            with self._sessions.begin() as session:
                set_for_transaction(session, "statement_timeout", DATABASE_LIMIT)
                by_status, by_model = counts.jobs_by_status(session), counts.waiting_work(session)
        except UNAVAILABLE:
            yield GaugeMetricFamily("layerscope_database_up", documentation, value=0)
            return
        yield GaugeMetricFamily("layerscope_database_up", documentation, value=1)
        yield _family("layerscope_jobs", "Stored jobs by status", "status", by_status.items())
        yield from self._waiting_work(by_model)

    def _waiting_work(self, by_model: Mapping[str, WaitingWork]) -> Iterator[GaugeMetricFamily]:
        complete = {**dict.fromkeys(self._models, WaitingWork()), **by_model}
        for field, name, documentation, unit in WAITING_WORK:
            values = ((model, getattr(work, field)) for model, work in complete.items())
            known = ((model, value) for model, value in values if value is not None)
            yield _family(name, documentation, "model", known, unit)

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        try:
            alive = notifications.workers_by_model(self._redis)
        except RedisError:
            yield GaugeMetricFamily("layerscope_redis_up", "Whether Redis answered", value=0)
            return
        yield GaugeMetricFamily("layerscope_redis_up", "Whether Redis answered", value=1)
        of_models = ((model, alive[model]) for model in self._models)
        yield _family("layerscope_workers_alive", "Workers with a recent heartbeat", "model", of_models)


def _family(
    name: str, documentation: str, label: str, values: Iterable[tuple[str, float]], unit: str = ""
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=[label], unit=unit)
    for value, number in values:
        family.add_metric([value], number)
    return family
