"""Faults 1 to 4 and 12: workers that are killed, paused or restarted, or whose clock is wrong."""

import os
import random
import signal
import time
from typing import Any

import pytest

from app.local.supervisor import Child
from tests.faults.support.checks import read_text_rows
from tests.faults.support.disturbed_job import Reference, disturbed_job, recoveries_of, report
from tests.faults.support.injection import Event
from tests.faults.support.scale import SCALE, SEED
from tests.faults.support.service import RunningService
from tests.support.programs.processes import wait_for
from worker.finalization.finalize import FINALIZATION_ATTEMPTS
from worker.runtime.rq_worker import ALIVE_SECONDS

pytestmark = pytest.mark.slow

SLOW = 1.0 if SCALE.name == "short" else 3.0
POINTS = ("claimed", "measured", "committing", "committed", "notifying")
HOUR = 3600.0
# A worker takes 5 to 20 s to start. The restarts of a job must be over before the job ends.
RESTARTS_PER_JOB = 1 if SCALE.name == "short" else 10
# An attempt to finalize a job needs a ready worker, so most of the nine deaths wait for a restart before.
ATTEMPT_SECONDS = 25.0 if SCALE.name == "short" else SCALE.recovery_seconds


def busy_workers(service: RunningService) -> list[Child]:
    now = time.monotonic()
    return [child for child in service.ready_workers() if service.injection.held_by(child.process.pid, now)]


def kill_a_busy_worker(service: RunningService, draw: random.Random) -> Event:
    """At least two workers are busy, so that another one can continue."""
    wait_for(lambda: len(busy_workers(service)) >= 2, 60)
    time.sleep(draw.uniform(0, SLOW / 2))
    victim = draw.choice(busy_workers(service) or service.ready_workers()).process
    died = Event(time.monotonic(), victim.pid, "kill", {})
    victim.kill()
    victim.wait()
    return died


def test_1_random_workers_are_killed(service: RunningService, reference: Reference) -> None:
    draw, count = random.Random(SEED), SCALE.numbers[1]
    with disturbed_job(service, reference, slow=SLOW, disturbances=count) as job:
        deaths = [kill_a_busy_worker(service, draw) for _ in range(count)]
    report(1, "SIGKILL of a random worker", count, job.rows, recoveries_of(service, deaths))


@pytest.mark.parametrize("point", POINTS)
def test_2_workers_are_killed_at_a_named_point(
    service: RunningService, reference: Reference, point: str
) -> None:
    count = SCALE.numbers[2]
    with disturbed_job(service, reference, slow=SLOW, disturbances=2 * count) as job:
        deaths = []
        for _ in range(count):
            deaths.append(service.kill_at(point))
            wait_for(lambda: len(service.ready_workers()) >= 2, 60)
    number = 2 + (1 + POINTS.index(point)) / 10
    recoveries = recoveries_of(service, deaths)
    assert len(recoveries) == count
    report(number, f"SIGKILL at “{point}”", count, job.rows, recoveries)


def test_2_workers_are_killed_while_they_finalize_a_job(
    service: RunningService, reference: Reference
) -> None:
    """Another worker finalizes the job. Each job gives only one opportunity for this fault."""
    count, deaths = SCALE.numbers[2], []
    for _ in range(count):
        wait_for(lambda: len(service.ready_workers()) >= 2, 60)
        with disturbed_job(service, reference, disturbances=1) as job:
            deaths.append(service.kill_at("finalizing"))
    recoveries = recoveries_of(service, deaths)
    assert len(recoveries) == count
    report(2.6, "SIGKILL at “finalizing”", count, job.rows, recoveries)


def test_2_a_job_whose_finalization_kills_every_worker_fails(
    service: RunningService, small_reference: Reference
) -> None:
    for _ in range(FINALIZATION_ATTEMPTS):
        service.injection.arm("kill", "finalizing")
    begun = time.monotonic()
    job_id = service.submit(small_reference.texts)
    state: dict[str, Any] = {}

    def finished() -> bool:
        state.update(service.client.get(f"/v1/jobs/{job_id}").json())
        return state["finished_at"] is not None

    wait_for(finished, (FINALIZATION_ATTEMPTS + 1) * ATTEMPT_SECONDS)
    assert state["error"]["type"].endswith(":no-statistics")
    assert len(service.injection.events("kill", since=begun)) == FINALIZATION_ATTEMPTS
    texts_csv = service.file(job_id, "texts.csv")
    assert texts_csv == small_reference.texts_csv
    rows = read_text_rows(texts_csv, len(small_reference.texts))
    report(2.7, f"a job whose finalization kills every worker, {FINALIZATION_ATTEMPTS} deaths", 1, rows)


def test_3_workers_that_were_paused_for_three_leases_cannot_commit(
    service: RunningService, reference: Reference
) -> None:
    """Two at a time: one before its commit, the other one during it, with locked rows."""
    count = SCALE.numbers[3]
    # The third worker processes the shards of both.
    with disturbed_job(service, reference, slow=1, disturbances=2 * count) as job:
        stops = []
        for _ in range(count // 2):
            stopped = [service.injection.inject("stop", point) for point in ("measured", "committing")]
            stops += stopped
            time.sleep(3 * SCALE.lease_seconds)
            for stop in stopped:
                os.kill(stop.pid, signal.SIGCONT)
            wait_for(lambda stopped=stopped: all(fenced(service, stop) for stop in stopped), 30)  # type: ignore[misc]
    recoveries = recoveries_of(service, stops)
    assert len(recoveries) == len(stops)
    report(3, "SIGSTOP for three leases, then SIGCONT", count, job.rows, recoveries)


def fenced(service: RunningService, stopped: Event) -> bool:
    """Whether the late commit of exactly this shard was rejected."""
    shard = service.injection.held_by(stopped.pid, stopped.at)
    late = service.injection.events("fenced", since=stopped.at)
    return any(event.pid == stopped.pid and event.shard == shard for event in late)


def test_4_workers_are_restarted_in_turn(service: RunningService, reference: Reference) -> None:
    count = SCALE.numbers[4]
    slow = 1.25 * SCALE.lease_seconds  # longer than a lease that is not renewed
    for begin in range(0, count, RESTARTS_PER_JOB):
        with disturbed_job(service, reference, slow=slow) as job:
            for turn in range(begin, min(begin + RESTARTS_PER_JOB, count)):
                restart(service, service.workers[turn % len(service.workers)])
        assert job.most_attempts() == 1
    report(4, "SIGTERM, workers restarted in turn", count, job.rows)


def restart(service: RunningService, child: Child) -> None:
    wait_for(lambda: child in busy_workers(service), 60)
    stopping = child.process
    stopping.terminate()
    assert stopping.wait(25) == 0
    wait_for(lambda: child in service.ready_workers(), 60)


@pytest.mark.parametrize("offset", [-HOUR, HOUR][: SCALE.numbers[12]])
def test_12_the_clock_of_a_worker_is_wrong(
    service: RunningService, reference: Reference, offset: float
) -> None:
    wrong, other, *_ = service.workers
    service.injection.shift_clock(offset)
    wrong.process.terminate()  # a worker that stops normally removes its heartbeat and is not counted twice
    wrong.process.wait()
    wait_for(lambda: wrong in service.ready_workers() and has_wrong_clock(service, wrong), 60)
    service.injection.shift_clock(0)
    wait_for(lambda: alive_by_the_api(service) == len(service.workers), 3 * ALIVE_SECONDS)
    with disturbed_job(service, reference, slow=SLOW, disturbances=2) as job:
        deaths = []
        for child in (other, wrong):
            wait_for(lambda child=child: child in busy_workers(service), 60)  # type: ignore[misc]
            died = Event(time.monotonic(), child.process.pid, "kill", {})
            child.process.kill()
            child.process.wait()
            deaths.append(died)
            wait_for(lambda died=died: recovered(service, died), 60)  # type: ignore[misc]
    sign = "ahead" if offset > 0 else "behind"
    number = 12.1 if offset > 0 else 12.2
    report(number, f"a worker's clock an hour {sign}", 1, job.rows, recoveries_of(service, deaths))


def recovered(service: RunningService, died: Event) -> bool:
    """If a worker died after the commit of its shard, there is nothing to recover.

    The commit is looked up in the database: a worker may die before it has noted it.
    """
    shard = service.injection.held_by(died.pid, died.at + 1)
    return shard is None or service.is_committed(*shard) or service.recovery(died) is not None


def has_wrong_clock(service: RunningService, child: Child) -> bool:
    return any(event.pid == child.process.pid for event in service.injection.events("clock"))


def alive_by_the_api(service: RunningService) -> int:
    (model,) = service.client.get("/v1/models").json()["data"]
    return int(model["workers_alive"])


def test_a_job_whose_finalization_takes_longer_than_a_lease_is_finalized_once(
    service: RunningService, reference: Reference
) -> None:
    with disturbed_job(service, reference, disturbances=1):
        delayed = service.injection.inject("delay", "finalizing", seconds=60)
    wait_for(lambda: delayed.pid in finalizers(service, delayed), 2 * SCALE.lease_seconds)
    assert finalizers(service, delayed) == [delayed.pid]


def finalizers(service: RunningService, delayed: Event) -> list[int]:
    return [event.pid for event in service.injection.events("finalized", since=delayed.at)]
