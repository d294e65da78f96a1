"""A model that cannot be loaded: its jobs wait if the cause may pass, and fail if it may not."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import store
from app.jobs.view import present_one
from app.models import ModelConfig
from app.schemas import JobOut
from app.tables import Job, LoadedModel, ModelFailure
from layerscope.errors import HubUnavailable, ModelError, ModelNotFound
from tests.support.jobs.jobs_by_hand import MEASURED_WITH, MODEL, commit, must_claim, submit
from worker.load_failure import wait_or_fail
from worker.runtime.model_loading import record

Sessions = sessionmaker[Session]
CONFIG = ModelConfig(source=str(MEASURED_WITH["source"]))
WAIT_SECONDS = 600.0
TEXTS = [("cpp", "a")] * 8
MISSING = ModelNotFound("The folder is missing.")


def fail_to_load(sessions: Sessions, redis: Redis, error: ModelError) -> None:
    wait_or_fail(sessions, redis, MODEL, CONFIG, error, WAIT_SECONDS)


def job(sessions: Sessions, job_id: UUID, configured: bool = True) -> JobOut:
    with sessions() as session:
        return present_one(session, session.get_one(Job, job_id), {MODEL: CONFIG} if configured else {})


def loaded_before(sessions: Sessions) -> None:
    record(sessions, MODEL, MEASURED_WITH)


def move_back(sessions: Sessions, seconds: float) -> None:
    """As if everything so far had happened that much earlier."""
    earlier = timedelta(seconds=seconds)
    with sessions.begin() as session:
        session.execute(
            update(ModelFailure).values(
                since=ModelFailure.since - earlier, last_at=ModelFailure.last_at - earlier
            )
        )
        session.execute(update(Job).values(created_at=Job.created_at - earlier))


def test_jobs_wait_for_a_model_that_was_there_before(sessions: Sessions, redis: Redis) -> None:
    loaded_before(sessions)
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, MISSING)
    waiting = job(sessions, job_id)
    assert (waiting.status, waiting.error) == ("queued", None)
    (warning,) = waiting.warnings
    expected = r"The job waits\. Its model cannot be loaded since 20\S+Z: The folder is missing\."
    assert re.fullmatch(expected, warning)


def test_jobs_wait_for_a_hub_that_does_not_answer(sessions: Sessions, redis: Redis) -> None:
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, HubUnavailable("The hub does not answer."))
    assert job(sessions, job_id).status == "queued"


@pytest.mark.parametrize("error", [MISSING, ModelError("The architecture is not supported.")])
def test_jobs_of_a_model_that_was_never_loaded_fail_at_once(
    sessions: Sessions, redis: Redis, error: ModelError
) -> None:
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, error)
    failed = job(sessions, job_id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.detail == str(error)
    assert failed.warnings == []


def test_a_permanent_cause_fails_the_jobs_of_a_known_model_at_once(sessions: Sessions, redis: Redis) -> None:
    loaded_before(sessions)
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, ModelError("The architecture is not supported."))
    assert job(sessions, job_id).status == "failed"


def test_a_missing_folder_of_another_source_is_a_permanent_cause(sessions: Sessions, redis: Redis) -> None:
    record(sessions, MODEL, MEASURED_WITH | {"source": "another/folder"})
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, MISSING)
    assert job(sessions, job_id).status == "failed"


def test_waiting_jobs_fail_in_the_end_and_keep_what_is_committed(sessions: Sessions, redis: Redis) -> None:
    loaded_before(sessions)
    job_id = submit(sessions, TEXTS * 4)
    commit(sessions, must_claim(sessions))
    fail_to_load(sessions, redis, MISSING)
    move_back(sessions, WAIT_SECONDS / 2)
    fail_to_load(sessions, redis, MISSING)
    younger = submit(sessions, TEXTS)
    move_back(sessions, WAIT_SECONDS / 2 + 1)
    with sessions.begin() as session:  # as if it had just been submitted
        session.execute(update(Job).where(Job.id == younger).values(created_at=CLOCK))
    fail_to_load(sessions, redis, MISSING)
    failed = job(sessions, job_id)
    assert (failed.status, failed.progress.done) == ("failed", 2)
    assert failed.error is not None
    assert failed.error.detail == (
        "The folder is missing. The job waited 600 seconds (setting LAYERSCOPE_MODEL_WAIT_SECONDS)."
    )
    assert job(sessions, younger).status == "queued"


def test_an_old_failure_does_not_shorten_the_wait(sessions: Sessions, redis: Redis) -> None:
    """Nobody tried to load the model meanwhile: the workers were not running."""
    loaded_before(sessions)
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, MISSING)
    move_back(sessions, 2 * WAIT_SECONDS)
    fail_to_load(sessions, redis, MISSING)
    assert job(sessions, job_id).status == "queued"


def test_a_loaded_model_ends_the_wait(sessions: Sessions, redis: Redis) -> None:
    loaded_before(sessions)
    job_id = submit(sessions, TEXTS)
    fail_to_load(sessions, redis, MISSING)
    record(sessions, MODEL, MEASURED_WITH)
    assert job(sessions, job_id).warnings == []
    with sessions() as session:
        assert session.get(ModelFailure, MODEL) is None
        assert session.get(LoadedModel, MODEL) is not None


def test_without_redis_the_jobs_are_left_alone(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    with Redis(port=1) as unavailable:
        fail_to_load(sessions, unavailable, MISSING)
    waiting = job(sessions, job_id)
    assert (waiting.status, waiting.warnings) == ("queued", [])


def test_a_job_whose_model_is_no_longer_configured_says_so_until_it_is_cancelled(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    assert job(sessions, job_id, configured=False).warnings == [
        "The job waits, but its model is no longer in the model list: add it, or cancel the job."
    ]
    with sessions.begin() as session:
        store.cancel(session, job_id)
    cancelled = job(sessions, job_id, configured=False)
    assert (cancelled.status, cancelled.warnings) == ("cancelled", [])
