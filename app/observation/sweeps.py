"""Counts the sweeps of a process."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter


class SweepResult(StrEnum):
    """How a sweep ended. `SKIPPED`: another process was sweeping."""

    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


class SweepCounter:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._sweeps = Counter(
            "layerscope_sweeps", "Searches for work without a worker", ["result"], registry=registry
        )
        for result in SweepResult:
            self._sweeps.labels(result)

    def count(self, result: SweepResult) -> None:
        self._sweeps.labels(result).inc()
