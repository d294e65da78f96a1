"""Observes what a worker process does: one object for its metrics and its traces."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.jobs.shards import Claim
from app.tables import Job
from worker.observation.attempt import Attempt
from worker.observation.metrics import WorkerMetrics
from worker.observation.step_times import Step, StepTimes


@dataclass(frozen=True)
class Observation:
    metrics: WorkerMetrics

    @contextmanager
    def attempt(self, claim: Claim) -> Iterator[Attempt]:
        """Around all that is done with a claim."""
        attempt = Attempt(claim)
        self.metrics.claimed(claim.reason)
        if claim.waited_seconds is not None:
            attempt.times.waited(claim.waited_seconds)
        try:
            yield attempt
        finally:
            attempt.times.enter(None)
            self.metrics.ended(attempt)

    @contextmanager
    def finalization(self, job: Job) -> Iterator[None]:
        """Around each attempt to finalize a job."""
        times = StepTimes()
        times.enter(Step.FINALIZE)
        try:
            yield
        finally:
            times.enter(None)
            self.metrics.took(Step.FINALIZE, times.periods[Step.FINALIZE].seconds)
            if job.outcome is not None:
                self.metrics.finalized(job.outcome)
