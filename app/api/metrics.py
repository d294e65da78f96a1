"""What Prometheus sees of the work, read from the database at each scrape."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session, sessionmaker

from app.db import UNAVAILABLE
from app.jobs import counts


class WorkCollector(Collector):
    """Jobs by status and texts by state; the requests are counted even while the database is unavailable."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def describe(self) -> list[GaugeMetricFamily]:
        """Without it the registry would ask the database when the service starts."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            with self._sessions.begin() as session:
                by_status, by_state = counts.jobs_by_status(session), counts.texts_by_state(session)
        except UNAVAILABLE:
            yield GaugeMetricFamily("layerscope_database_up", "Whether the database answered", value=0)
            return
        yield GaugeMetricFamily("layerscope_database_up", "Whether the database answered", value=1)
        yield _family("layerscope_jobs", "Jobs by status", "status", by_status)
        yield _family("layerscope_texts", "Texts by state", "state", by_state)


def _family(name: str, documentation: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
