"""Observes what a worker process does: one object for its metrics and its traces."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.jobs.shards import Claim
from app.tables import Job
from worker.observation.attempt import Attempt
from worker.observation.metrics import WorkerMetrics
from worker.observation.shard_spans import finalization_span, shard_spans
from worker.observation.step_times import Step, StepTimes

if TYPE_CHECKING:
    from app.observation.spans import Tracing


@dataclass(frozen=True)
class Observation:
    """`tracing`: None if traces are off. Jobs that were submitted without a trace have no spans."""

    model: str
    metrics: WorkerMetrics
    tracing: "Tracing | None" = None

    @contextmanager
    def attempt(self, claim: Claim) -> Iterator[Attempt]:
        """Around all that is done with a claim."""
        attempt = Attempt(claim)
        start = time.time_ns()
        self.metrics.claimed(claim.reason)
        if claim.waited_seconds is not None:
            attempt.times.waited(claim.waited_seconds)
        try:
            yield attempt
        finally:
            attempt.times.enter(None)
            self.metrics.ended(attempt)
            if self.tracing is not None and claim.traceparent is not None:
                spans = shard_spans(attempt, self.model, start, time.time_ns())
                self.tracing.record(claim.traceparent, spans)

    @contextmanager
    def finalization(self, job: Job) -> Iterator[None]:
        """Around each attempt to finalize a job."""
        times = StepTimes()
        times.enter(Step.FINALIZE)
        try:
            yield
        finally:
            times.enter(None)
            period = times.periods[Step.FINALIZE]
            self.metrics.took(Step.FINALIZE, period.seconds)
            if job.outcome is not None:
                self.metrics.finalized(job.outcome)
            if self.tracing is not None and job.traceparent is not None:
                self.tracing.record(job.traceparent, [finalization_span(job, period)])
