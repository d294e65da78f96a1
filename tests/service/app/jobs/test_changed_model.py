"""The numbers of a job come from one model: a worker with another one leaves its shards alone."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import completion, shards
from app.jobs.shards import Claim
from app.jobs.view import present_one
from app.models import ModelConfig
from app.tables import Job, LoadedModel, Shard
from tests.support.jobs.jobs_by_hand import LEASE_SECONDS, MEASURED_WITH, MODEL, commit, submit

Sessions = sessionmaker[Session]
TEXTS = [("cpp", "a")] * 6
FACTS = MEASURED_WITH | {"versions": {"torch": "2.11", "layerscope": "1"}}
OTHERS = {
    "revision": FACTS | {"revision": "r2"},
    "dtype": FACTS | {"dtype": "bfloat16"},
    "device": FACTS | {"device": "cuda:0"},
    "torch version": FACTS | {"versions": {"torch": "2.12", "layerscope": "1"}},
}
WORDS = {
    "revision": "revision r1, but the workers have r2",
    "dtype": "dtype float32, but the workers have bfloat16",
    "device": "device cpu, but the workers have cuda",
    "torch version": "torch version 2.11, but the workers have 2.12",
}


def claim(sessions: Sessions, facts: dict[str, Any]) -> Claim | None:
    with sessions.begin() as session:
        return shards.claim(session, MODEL, LEASE_SECONDS, facts)


@pytest.fixture
def started(sessions: Sessions) -> UUID:
    """A job of three shards, whose first is committed."""
    job_id = submit(sessions, TEXTS)
    first = claim(sessions, FACTS)
    assert first is not None
    commit(sessions, first)
    return job_id


@pytest.mark.parametrize("facts", OTHERS.values(), ids=OTHERS)
def test_a_worker_with_another_model_gets_no_shard(
    sessions: Sessions, started: UUID, facts: dict[str, Any]
) -> None:
    assert claim(sessions, facts) is None
    found = claim(sessions, FACTS)
    assert found is not None
    assert found.job_id == started


def test_it_gets_shards_of_jobs_that_are_not_started(sessions: Sessions, started: UUID) -> None:
    waiting = submit(sessions, TEXTS)
    found = claim(sessions, OTHERS["revision"])
    assert found is not None
    assert found.job_id == waiting
    assert [claim(sessions, FACTS) is not None for _ in range(3)] == [True, True, False]


def test_the_number_of_a_gpu_does_not_matter(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    assert claim(sessions, FACTS | {"device": "cuda:0"}) is not None
    assert claim(sessions, FACTS | {"device": "cuda:1"}) is not None
    assert claim(sessions, FACTS) is None


def test_of_two_workers_that_start_a_job_together_one_gets_it(sessions: Sessions) -> None:
    submit(sessions, TEXTS)
    with sessions() as first, ThreadPoolExecutor(1) as pool:
        assert shards.claim(first, MODEL, LEASE_SECONDS, FACTS) is not None
        second = pool.submit(claim, sessions, OTHERS["revision"])
        time.sleep(0.5)  # it has selected the job, and waits for its row
        assert not second.done()
        first.commit()
        assert second.result() is None


def load(sessions: Sessions, facts: dict[str, Any]) -> None:
    with sessions.begin() as session:
        session.add(LoadedModel(name=MODEL, measured_with=facts))


def warnings(sessions: Sessions, job_id: UUID) -> list[str]:
    with sessions() as session:
        configured = {MODEL: ModelConfig(source=str(FACTS["source"]))}
        state = present_one(session, session.get_one(Job, job_id), configured)
    return [warning for warning in state.warnings if "waits" in warning]


@pytest.mark.parametrize("name", OTHERS)
def test_the_job_says_what_it_waits_for(sessions: Sessions, started: UUID, name: str) -> None:
    load(sessions, OTHERS[name])
    assert warnings(sessions, started) == [f"The job waits for a worker with {WORDS[name]}."]


def test_a_job_with_its_own_model_waits_for_nothing(sessions: Sessions, started: UUID) -> None:
    assert warnings(sessions, started) == []
    load(sessions, FACTS)
    assert warnings(sessions, started) == []


def fail_waiting(sessions: Sessions, facts: dict[str, Any], seconds: float) -> None:
    with sessions.begin() as session:
        completion.fail_without_their_model(session, MODEL, facts, seconds)


def problem_of(sessions: Sessions, job_id: UUID) -> dict[str, Any] | None:
    with sessions() as session:
        return session.get_one(Job, job_id).error


def test_after_some_time_the_job_fails_and_names_both_models(sessions: Sessions, started: UUID) -> None:
    load(sessions, OTHERS["revision"])
    untouched = submit(sessions, TEXTS)
    time.sleep(0.2)
    for facts, seconds in ((FACTS, 0.1), (OTHERS["revision"], 60)):
        fail_waiting(sessions, facts, seconds)
        assert problem_of(sessions, started) is None
    fail_waiting(sessions, OTHERS["revision"], 0.1)
    problem = problem_of(sessions, started)
    assert problem is not None
    assert problem["type"] == "urn:layerscope:problem:model-changed"
    assert WORDS["revision"] in problem["detail"]
    assert "LAYERSCOPE_MODEL_WAIT_SECONDS" in problem["detail"]
    assert problem_of(sessions, untouched) is None


def test_a_job_that_is_being_measured_does_not_fail(sessions: Sessions, started: UUID) -> None:
    load(sessions, OTHERS["revision"])
    assert claim(sessions, FACTS) is not None
    time.sleep(0.2)
    fail_waiting(sessions, OTHERS["revision"], 0.1)
    assert problem_of(sessions, started) is None
    with sessions.begin() as session:
        session.execute(update(Shard).values(lease_until=CLOCK))
    fail_waiting(sessions, OTHERS["revision"], 0.1)
    assert problem_of(sessions, started) is not None
