"""InputErrors 1 to 4 and 12: workers that die, stop, are restarted, or have the wrong time."""

import os
import random
import signal
import time
from typing import Any

import pytest

from app.local.supervisor import Child
from tests.faults.house import House
from tests.faults.injection import Event
from tests.faults.scale import ONLY_WHOLE, SCALE, SEED
from tests.faults.trial import Reference, recoveries_of, report, trial
from tests.faults.watch import read_rows
from tests.support.processes import wait_for
from worker.finalization.finalize import FINALIZATION_ATTEMPTS
from worker.runtime.rq_worker import ALIVE_SECONDS

SLOW = 1.0 if SCALE.name == "short" else 3.0
POINTS = ("claimed", "measured", "committing", "committed", "notifying")
HOUR = 3600.0
RESTARTS_IN_A_JOB = 10  # it would be over before twenty, where a process takes long to start


def busy_workers(house: House) -> list[Child]:
    now = time.monotonic()
    return [child for child in house.ready_workers() if house.injection.held_by(child.process.pid, now)]


def kill_a_busy_worker(house: House, draw: random.Random) -> Event:
    """One of at least two, so that somebody is left to go on."""
    wait_for(lambda: len(busy_workers(house)) >= 2, 60)
    time.sleep(draw.uniform(0, SLOW / 2))
    victim = draw.choice(busy_workers(house) or house.ready_workers()).process
    died = Event(time.monotonic(), victim.pid, "kill", {})
    victim.kill()
    victim.wait()
    return died


def test_1_random_workers_are_killed(house: House, reference: Reference) -> None:
    draw, count = random.Random(SEED), SCALE.numbers[1]
    with trial(house, reference, slow=SLOW, disturbances=count) as job:
        deaths = [kill_a_busy_worker(house, draw) for _ in range(count)]
    report(1, "SIGKILL of a random worker", count, job.rows, recoveries_of(house, deaths))


@pytest.mark.parametrize("point", POINTS)
def test_2_workers_are_killed_at_a_named_point(house: House, reference: Reference, point: str) -> None:
    count = SCALE.numbers[2]
    with trial(house, reference, slow=SLOW, disturbances=2 * count) as job:
        deaths = []
        for _ in range(count):
            deaths.append(house.kill_at(point))
            wait_for(lambda: len(house.ready_workers()) >= 2, 60)
    number = 2 + (1 + POINTS.index(point)) / 10
    recoveries = recoveries_of(house, deaths)
    assert len(recoveries) == count
    report(number, f"SIGKILL at “{point}”", count, job.rows, recoveries)


def test_2_workers_are_killed_while_they_close_a_job(house: House, reference: Reference) -> None:
    """That comes once in a job's life, and whoever is left closes it."""
    count, deaths = SCALE.numbers[2], []
    for _ in range(count):
        wait_for(lambda: len(house.ready_workers()) >= 2, 60)
        with trial(house, reference, disturbances=1) as job:
            deaths.append(house.kill_at("finalizing"))
    recoveries = recoveries_of(house, deaths)
    assert len(recoveries) == count
    report(2.6, "SIGKILL at “closing”", count, job.rows, recoveries)


@ONLY_WHOLE
def test_2_a_job_whose_closing_kills_every_worker_fails(house: House, small: Reference) -> None:
    for _ in range(FINALIZATION_ATTEMPTS):
        house.injection.arm("kill", "finalizing")
    begun = time.monotonic()
    job_id = house.submit(small.texts)
    state: dict[str, Any] = {}

    def finished() -> bool:
        state.update(house.client.get(f"/v1/jobs/{job_id}").json())
        return state["finished_at"] is not None

    wait_for(finished, (FINALIZATION_ATTEMPTS + 1) * SCALE.recovery_seconds)
    assert state["error"]["type"].endswith(":no-statistics")
    assert len(house.injection.events("kill", since=begun)) == FINALIZATION_ATTEMPTS
    texts_csv = house.file(job_id, "texts.csv")
    assert texts_csv == small.texts_csv
    rows = read_rows(texts_csv, len(small.texts))
    report(2.7, f"a job whose closing kills every worker, {FINALIZATION_ATTEMPTS} deaths", 1, rows)


def test_3_workers_stopped_for_three_leases_come_too_late(house: House, reference: Reference) -> None:
    """Two at a time: one before its commit, one in the middle of it, with rows locked."""
    count = SCALE.numbers[3]
    with trial(house, reference, slow=1, disturbances=2 * count) as job:  # one is left for both their shards
        stops = []
        for _ in range(count // 2):
            stopped = [house.injection.inflict("stop", point) for point in ("measured", "committing")]
            stops += stopped
            time.sleep(3 * SCALE.lease_seconds)
            for stop in stopped:
                os.kill(stop.pid, signal.SIGCONT)
            wait_for(lambda stopped=stopped: all(fenced(house, stop) for stop in stopped), 30)  # type: ignore[misc]
    recoveries = recoveries_of(house, stops)
    assert len(recoveries) == len(stops)
    report(3, "SIGSTOP for three leases, then SIGCONT", count, job.rows, recoveries)


def fenced(house: House, stopped: Event) -> bool:
    """Whether the late commit of just that shard was refused."""
    shard = house.injection.held_by(stopped.pid, stopped.at)
    late = house.injection.events("fenced", since=stopped.at)
    return any(event.pid == stopped.pid and event.shard == shard for event in late)


def test_4_workers_are_restarted_in_turn(house: House, reference: Reference) -> None:
    count = SCALE.numbers[4]
    slow = 1.25 * SCALE.lease_seconds  # more than a lease that is not renewed
    for begin in range(0, count, RESTARTS_IN_A_JOB):
        with trial(house, reference, slow=slow) as job:
            for turn in range(begin, min(begin + RESTARTS_IN_A_JOB, count)):
                restart(house, house.workers[turn % len(house.workers)])
        assert job.most_attempts() == 1
    report(4, "SIGTERM, workers restarted in turn", count, job.rows)


def restart(house: House, child: Child) -> None:
    wait_for(lambda: child in busy_workers(house), 60)
    leaving = child.process
    leaving.terminate()
    assert leaving.wait(25) == 0
    wait_for(lambda: child in house.ready_workers(), 60)


@pytest.mark.parametrize("offset", [-HOUR, HOUR][: SCALE.numbers[12]])
def test_12_a_workers_clock_is_off(house: House, reference: Reference, offset: float) -> None:
    odd, other, *_ = house.workers
    house.injection.clock(offset)
    odd.process.terminate()  # it takes leave, so that it is not counted twice
    odd.process.wait()
    wait_for(lambda: odd in house.ready_workers() and has_odd_clock(house, odd), 60)
    house.injection.clock(0)
    wait_for(lambda: alive_by_the_api(house) == len(house.workers), 3 * ALIVE_SECONDS)
    with trial(house, reference, slow=SLOW, disturbances=2) as job:
        deaths = []
        for child in (other, odd):
            wait_for(lambda child=child: child in busy_workers(house), 60)  # type: ignore[misc]
            died = Event(time.monotonic(), child.process.pid, "kill", {})
            child.process.kill()
            child.process.wait()
            deaths.append(died)
            wait_for(lambda died=died: recovered(house, died), 60)  # type: ignore[misc]
    sign = "ahead" if offset > 0 else "behind"
    number = 12.1 if offset > 0 else 12.2
    report(number, f"a worker's clock an hour {sign}", 1, job.rows, recoveries_of(house, deaths))


def recovered(house: House, died: Event) -> bool:
    """A shard that was committed as its worker died needs no recovery."""
    return house.injection.held_by(died.pid, died.at + 1) is None or house.recovery(died) is not None


def has_odd_clock(house: House, child: Child) -> bool:
    return any(event.pid == child.process.pid for event in house.injection.events("clock"))


def alive_by_the_api(house: House) -> int:
    (model,) = house.client.get("/v1/models").json()["data"]
    return int(model["workers_alive"])


def test_a_job_that_takes_longer_than_a_lease_to_close_is_closed_once(
    house: House, reference: Reference
) -> None:
    with trial(house, reference, disturbances=1):
        held_up = house.injection.inflict("long", "finalizing", seconds=60)
    wait_for(lambda: held_up.pid in closers(house, held_up), 2 * SCALE.lease_seconds)
    assert closers(house, held_up) == [held_up.pid]


def closers(house: House, held_up: Event) -> list[int]:
    return [event.pid for event in house.injection.events("finalized", since=held_up.at)]
