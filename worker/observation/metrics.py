"""The counters of a worker process. Prometheus adds up those of several workers."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from app.jobs.shards import ClaimReason
from app.observation.sweeps import SweepCounter
from layerscope.names import OUTCOMES
from worker.observation.attempt import Attempt, End
from worker.observation.device_memory import DeviceMemory
from worker.observation.step_times import Step

PREFIX = "layerscope_worker_"
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
TOKENS = tuple(2**power for power in range(5, 18))
DONE, FAILED = "done", "failed"  # the outcomes of a text


class WorkerMetrics:
    """The metrics of a process that measures one model.

    Counters have a series for each value of their label from the start, so that the first event is an
    increase.
    """

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        self.sweeps = SweepCounter(self.registry)
        ProcessCollector(registry=self.registry)
        self._model = model
        self.is_loaded = False  # whether the model is
        texts = (DONE, FAILED)
        self._texts = self._counter("texts", "Committed texts", "outcome", texts)
        self._tokens = self._counter("tokens", "Tokens of the committed texts", "outcome", texts)
        self._claims = self._counter("attempts", "Claims of shards", "reason", ClaimReason)
        self._ends = self._counter("attempts_ended", "Ends of these attempts", "end", End)
        self._jobs = self._counter("finalized_jobs", "Jobs that this process finalized", "outcome", OUTCOMES)
        self._fenced = Counter(
            f"{PREFIX}fenced_commits",
            "Commits without a valid lease, discarded",
            ["model"],
            registry=self.registry,
        ).labels(model)
        self._steps = Histogram(
            f"{PREFIX}phase_seconds",
            "Time of each phase of a shard; finalize: of a job",
            ["model", "phase"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            f"{PREFIX}batch_tokens", "Tokens per batch", ["model"], buckets=TOKENS, registry=self.registry
        ).labels(model)
        self._load = Gauge(
            f"{PREFIX}load_seconds", "Time to load the model", ["model"], registry=self.registry
        )

    def _counter(self, name: str, documentation: str, label: str, values: Iterable[str]) -> Counter:
        counter = Counter(PREFIX + name, documentation, ["model", label], registry=self.registry)
        for value in values:
            counter.labels(self._model, value)
        return counter

    def loaded(self, module: Any, seconds: float) -> None:
        """`module`: the loaded model."""
        self._load.labels(self._model).set(seconds)
        self.registry.register(DeviceMemory(self._model, module))
        self.is_loaded = True

    def claimed(self, reason: ClaimReason) -> None:
        self._claims.labels(self._model, reason).inc()

    def ended(self, attempt: Attempt) -> None:
        self._ends.labels(self._model, attempt.end).inc()
        if attempt.is_fenced_commit:
            self._fenced.inc()
        for text in attempt.committed:
            outcome = DONE if text.error is None else FAILED
            self._texts.labels(self._model, outcome).inc()
            self._tokens.labels(self._model, outcome).inc(text.tokens)
        for step, period in attempt.times.periods.items():
            self.took(step, period.seconds)
        for tokens in attempt.times.batches:
            self._batches.observe(tokens)

    def took(self, step: Step, seconds: float) -> None:
        self._steps.labels(self._model, step).observe(seconds)

    def finalized(self, outcome: str) -> None:
        self._jobs.labels(self._model, outcome).inc()
