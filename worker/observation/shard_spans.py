"""The spans of a shard and of a finalization, made from the times that the metrics have too."""

from app.observation.tracing import TimedSpan
from app.tables import Job
from worker.observation.attempt import Attempt, End
from worker.observation.step_times import Period, Step


def shard_spans(attempt: Attempt, model: str, start: int, end: int) -> list[TimedSpan]:
    """The time in the queue, and the shard with a span for each step. `start`: of the attempt, as `end`.

    Steps can alternate. Their spans last from the first start to the last end, and have the seconds in which
    the step ran.
    """
    claim, periods = attempt.claim, attempt.times.periods
    attributes: dict[str, str | int | float] = {
        "layerscope.job": str(claim.job_id),
        "layerscope.model": model,
        "layerscope.shard": claim.number,
        "layerscope.attempt": claim.attempt,
        "layerscope.texts": claim.end_ordinal - claim.first_ordinal,
        "layerscope.claimed": claim.reason,
        "layerscope.end": attempt.end,
    }
    steps = [_step(step, period) for step, period in periods.items() if step is not Step.QUEUE]
    has_failed = attempt.end is not End.COMMITTED
    shard = TimedSpan("shard", start, end, attributes, has_failed, steps)
    queue = periods.get(Step.QUEUE)
    return [shard] if queue is None else [_step(Step.QUEUE, queue), shard]


def finalization_span(job: Job, period: Period) -> TimedSpan:
    attributes = {"layerscope.job": str(job.id), "layerscope.outcome": job.outcome or "none"}
    return TimedSpan(Step.FINALIZE, period.start, period.end, attributes, has_failed=job.outcome is None)


def _step(step: Step, period: Period) -> TimedSpan:
    return TimedSpan(step, period.start, period.end, {"layerscope.seconds": period.seconds})
