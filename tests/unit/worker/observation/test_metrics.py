"""What is counted of an attempt, and of its steps."""

import time
from uuid import UUID

import pytest

from app.jobs.shards import Claim, ClaimReason, TextResult
from worker.observation.attempt import Attempt, End
from worker.observation.metrics import WorkerMetrics
from worker.observation.observation import Observation
from worker.observation.step_times import Step, StepTimes

CLAIM = Claim(UUID(int=1), 0, 3, 2, 0, 2, {}, (), (), ClaimReason.EXPIRED_LEASE, 5.0)
RETURNED = Claim(UUID(int=1), 0, 3, 2, 0, 2, {}, (), (), ClaimReason.RETURNED, None)


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"layerscope_worker_{name}", {"model": "demo", **labels})


def observed(claim: Claim, end: End, *steps: Step) -> WorkerMetrics:
    observation = Observation("demo", WorkerMetrics("demo"))
    with observation.attempt(claim) as attempt:
        for step in steps:
            attempt.times.enter(step)
        attempt.end = end
    return observation.metrics


def test_a_fenced_commit_is_one_whose_shard_was_measured() -> None:
    before = observed(CLAIM, End.FENCED, Step.TOKENIZE, Step.FORWARD)
    assert value(before, "fenced_commits_total") == 0
    assert value(before, "attempts_ended_total", end="fenced") == 1
    assert value(observed(CLAIM, End.FENCED, Step.REDUCE, Step.COMMIT), "fenced_commits_total") == 1
    assert value(observed(CLAIM, End.FAILED, Step.REDUCE, Step.COMMIT), "fenced_commits_total") == 0


def test_the_reason_and_the_time_in_the_queue_are_those_of_the_claim() -> None:
    metrics = observed(CLAIM, End.STOPPED)
    assert value(metrics, "attempts_total", reason="expired_lease") == 1
    assert value(metrics, "attempts_total", reason="first") == 0
    assert value(metrics, "phase_seconds_sum", phase="queue") == 5
    assert value(observed(RETURNED, End.STOPPED), "phase_seconds_count", phase="queue") is None  # unknown


def test_an_exception_ends_the_attempt() -> None:
    observation = Observation("demo", WorkerMetrics("demo"))
    with pytest.raises(OSError, match="away"), observation.attempt(CLAIM):
        raise OSError("away")
    assert value(observation.metrics, "attempts_ended_total", end="failed") == 1


def test_texts_and_tokens_are_counted_by_outcome() -> None:
    metrics = WorkerMetrics("demo")
    attempt = Attempt(CLAIM)
    results = [TextResult(i, "cpp", 10, False, error, None) for i, error in enumerate((None, None, "no"))]
    attempt.commit(results)
    metrics.ended(attempt)
    assert value(metrics, "texts_total", outcome="done") == 2
    assert value(metrics, "texts_total", outcome="failed") == 1
    assert value(metrics, "tokens_total", outcome="done") == 20
    assert value(metrics, "attempts_ended_total", end="committed") == 1


def test_steps_that_alternate_add_up_without_gaps() -> None:
    times = StepTimes()
    start = time.perf_counter()
    for _ in range(3):
        for step in (Step.TOKENIZE, Step.TOKENIZE, Step.FORWARD):
            times.enter(step)
            time.sleep(0.002)
    times.enter(None)
    whole = time.perf_counter() - start
    tokenize, forward = times.periods[Step.TOKENIZE], times.periods[Step.FORWARD]
    assert tokenize.seconds + forward.seconds == pytest.approx(whole, rel=0.05)
    assert tokenize.seconds > forward.seconds > 0.006
    assert tokenize.start < forward.start < tokenize.end < forward.end
