"""One attempt to measure and commit a shard: how it ends, and what its steps take."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.jobs.shards import Claim, TextResult
from worker.observation.step_times import Step, StepTimes


class End(StrEnum):
    """How an attempt ends."""

    COMMITTED = "committed"
    FENCED = "fenced"  # the lease was lost, or the job ended
    STOPPED = "stopped"  # the process stops
    FAILED = "failed"  # with an error
    UNAVAILABLE = "unavailable"  # the database does not answer


@dataclass
class Attempt:
    claim: Claim
    times: StepTimes = field(default_factory=StepTimes)
    end: End = End.FAILED
    committed: Sequence[TextResult] = ()

    def commit(self, measured: Sequence[TextResult]) -> None:
        self.committed, self.end = measured, End.COMMITTED

    @property
    def is_fenced_commit(self) -> bool:
        """Whether the shard was measured, but its lease was no longer valid."""
        return self.end is End.FENCED and Step.COMMIT in self.times.periods
