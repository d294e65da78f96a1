"""How long the steps of the work take, as the thread that works sees it."""

import time
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """The steps of a shard, and the finalization of a job.

    A GPU computes asynchronously. There, FORWARD is the time in which the layers are launched, and
    REDUCE includes the time in which the thread waits for the numbers.
    """

    QUEUE = "queue"  # the shard waits for a worker
    TOKENIZE = "tokenize"
    FORWARD = "forward"  # the layers, with the sums of each token, which hooks compute between the modules
    REDUCE = "reduce"  # from the sums of the tokens to the values of the texts
    ANALYSE = "analyse"  # the sampled texts of a job with analyses
    COMMIT = "commit"
    FINALIZE = "finalize"


@dataclass
class Period:
    """From the first start of a step to its last end, and the seconds in which it ran.

    `start` and `end`: nanoseconds since 1970.
    """

    start: int
    end: int
    seconds: float


class StepTimes:
    """The periods of the steps of one shard, of which one runs at a time, and the tokens of its batches."""

    def __init__(self) -> None:
        self.periods: dict[Step, Period] = {}
        self.batches: list[int] = []
        self.step: Step | None = None  # the one that runs
        self._started = 0.0

    def enter(self, step: Step | None) -> None:
        """Ends the step that runs, and starts the given one. Steps may alternate."""
        if step is self.step:
            return
        now, clock = time.time_ns(), time.perf_counter()
        if self.step is not None:
            period = self.periods[self.step]
            period.end, period.seconds = now, period.seconds + clock - self._started
        if step is not None:
            self.periods.setdefault(step, Period(now, now, 0.0))
        self.step, self._started = step, clock

    def waited(self, seconds: float) -> None:
        """The shard waited for a worker until now."""
        now = time.time_ns()
        self.periods[Step.QUEUE] = Period(now - int(seconds * 1e9), now, seconds)
