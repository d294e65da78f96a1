"""How a job is finalized: without blocking other requests, written once, and with a limit on attempts."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.errors import ShardFailed
from app.jobs import completion, deletion, shards, store
from app.jobs.shards import Fenced
from app.settings import KIB
from app.tables import Job, StoredProfile, comparison, layer_profile
from layerscope.names import COMPONENTS, SCOPES
from tests.support.deployment.small_disk import small_disk
from tests.support.jobs.jobs_by_hand import LAYERS, LEASE_SECONDS, MODEL, claim, commit, must_claim, submit
from worker.finalization import statistics
from worker.finalization.compare_domains import compare_domains
from worker.finalization.finalize import FINALIZATION_ATTEMPTS, finalize_jobs
from worker.runtime.postponed import PAUSE_SECONDS, PostponedJobs
from worker.runtime.shutdown import ShutdownDeadline

ROWS_OF_A_LAYER = len(SCOPES) * len(COMPONENTS)
Sessions = sessionmaker[Session]
TEXTS = [(("cpp", "python")[i % 2], "a") for i in range(8)]
FAILURE = ShardFailed("it would not")


def measured_job(sessions: Sessions) -> UUID:
    job_id = submit(sessions, TEXTS, texts_per_shard=len(TEXTS))
    commit(sessions, must_claim(sessions))
    return job_id


@pytest.fixture
def while_computing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Performs an action once, after the statistics are computed and before they are written."""

    def arrange(action: Callable[[], Any]) -> None:
        actions = [action]

        def compare_and_do(*given: Any) -> Iterator[Any]:
            yield from compare_domains(*given)
            if actions:
                actions.pop()()

        monkeypatch.setattr(statistics, "compare_domains", compare_and_do)

    return arrange


def rows_of(sessions: Sessions) -> tuple[int, int]:
    with sessions() as session:
        layers, compared = (
            session.scalar(select(func.count()).select_from(t)) for t in (layer_profile, comparison)
        )
    return layers or 0, compared or 0


def job_of(sessions: Sessions, job_id: UUID) -> Job:
    with sessions() as session:
        return store.get(session, job_id)


def with_a_short_lock_timeout(sessions: Sessions, action: Callable[[Session], Any]) -> None:
    """Fails if it has to wait for a row lock."""
    with sessions.begin() as session:
        session.execute(text("set local lock_timeout = '100ms'"))
        action(session)


def test_a_cancel_does_not_wait_for_statistics_and_is_kept(
    sessions: Sessions, while_computing: Callable[[Callable[[], Any]], None]
) -> None:
    job_id = measured_job(sessions)
    while_computing(lambda: with_a_short_lock_timeout(sessions, lambda s: store.cancel(s, job_id)))
    finalize_jobs(sessions, MODEL)
    assert job_of(sessions, job_id).outcome == "cancelled"
    assert rows_of(sessions)[0] == 3 * ROWS_OF_A_LAYER * LAYERS


def test_a_delete_does_not_wait_for_statistics_and_leaves_none(
    sessions: Sessions, while_computing: Callable[[Callable[[], Any]], None]
) -> None:
    job_id = measured_job(sessions)
    while_computing(lambda: with_a_short_lock_timeout(sessions, lambda s: store.delete_job(s, job_id)))
    finalize_jobs(sessions, MODEL)
    assert rows_of(sessions) == (0, 0)
    deletion.delete_rows(sessions, job_id)
    with sessions() as session:
        assert session.get(Job, job_id) is None


def test_a_job_gone_to_its_last_row_meanwhile_is_let_go(
    sessions: Sessions, while_computing: Callable[[Callable[[], Any]], None]
) -> None:
    job_id = measured_job(sessions)

    def delete() -> None:
        with_a_short_lock_timeout(sessions, lambda s: store.delete_job(s, job_id))
        deletion.delete_rows(sessions, job_id)

    while_computing(delete)
    finalize_jobs(sessions, MODEL)
    assert rows_of(sessions) == (0, 0)


def test_a_job_that_is_being_closed_is_left_to_its_closer(
    sessions: Sessions, while_computing: Callable[[Callable[[], Any]], None]
) -> None:
    job_id = measured_job(sessions)
    outcomes = []

    def close_too() -> None:
        finalize_jobs(sessions, MODEL)
        outcomes.append(job_of(sessions, job_id).outcome)

    while_computing(close_too)
    finalize_jobs(sessions, MODEL)
    assert [*outcomes, job_of(sessions, job_id).outcome] == [None, "succeeded"]


def test_many_closers_write_each_job_once(sessions: Sessions) -> None:
    for _ in range(6):
        measured_job(sessions)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: finalize_jobs(sessions, MODEL), range(4)))
    with sessions() as session:
        assert set(session.scalars(select(Job.outcome))) == {"succeeded"}
    assert rows_of(sessions)[0] == 6 * 3 * ROWS_OF_A_LAYER * LAYERS


def test_statistics_that_cannot_be_computed_fail_their_job_and_no_other(
    sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    spoilt, sound = measured_job(sessions), measured_job(sessions)
    with sessions.begin() as session:
        half = func.substring(StoredProfile.values, 1, 9)
        session.execute(update(StoredProfile).where(StoredProfile.job_id == spoilt).values(values=half))
    finalize_jobs(sessions, MODEL)
    failed = job_of(sessions, spoilt)
    assert failed.outcome == "failed"
    assert failed.error is not None
    assert failed.error["type"].endswith(":no-statistics")
    assert "ValueError: " in failed.error["detail"]
    assert "could not be finalized" in caplog.text
    assert job_of(sessions, sound).outcome == "succeeded"


class Death(BaseException):
    """As far as the database can tell, the process was killed."""


@pytest.mark.slow
def test_a_job_whose_statistics_kill_every_process_fails_in_the_end(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = measured_job(sessions)

    def die(*_: Any) -> None:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(statistics, "compare_domains", die)
        for _ in range(FINALIZATION_ATTEMPTS):
            with pytest.raises(Death):
                finalize_jobs(sessions, MODEL)
            assert job_of(sessions, deadly).outcome is None
        finalize_jobs(sessions, MODEL)
    failed = job_of(sessions, deadly)
    assert failed.outcome == "failed"
    assert failed.error is not None
    assert failed.error["type"].endswith(":no-statistics")
    assert f"{FINALIZATION_ATTEMPTS} processes died" in failed.error["detail"]


def test_a_full_disk_costs_no_attempt(sessions: Sessions) -> None:
    job_id = measured_job(sessions)
    with full_disk(sessions):
        for _ in range(2):
            with pytest.raises(OperationalError):
                finalize_jobs(sessions, MODEL)
            assert job_of(sessions, job_id).finalization_attempts == 0
    finalize_jobs(sessions, MODEL)
    assert job_of(sessions, job_id).outcome == "succeeded"


def test_a_full_temporary_folder_delays_only_the_jobs_that_need_it(
    sessions: Sessions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    large, postponed = measured_job(sessions), PostponedJobs()
    with small_disk(tmp_path / "tmp", 4 * KIB) as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        finalize_jobs(sessions, MODEL, postponed=postponed)
        assert f"{folder}, is full" in caplog.text
        small = submit(sessions, TEXTS[:1])  # a single domain needs no file
        commit(sessions, must_claim(sessions))
        finalize_jobs(sessions, MODEL, postponed=postponed)
        assert job_of(sessions, small).outcome == "succeeded"
        assert list(folder.iterdir()) == []
        monkeypatch.undo()
    finalize_jobs(sessions, MODEL, postponed=postponed)
    unfinished = job_of(sessions, large)
    assert (unfinished.outcome, unfinished.finalization_attempts) == (None, 0)
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + PAUSE_SECONDS)
    finalize_jobs(sessions, MODEL, postponed=postponed)
    assert job_of(sessions, large).outcome == "succeeded"


@contextmanager
def full_disk(sessions: Sessions) -> Iterator[None]:
    """As PostgreSQL says it, when the first statistics are to be written."""
    with sessions.begin() as session:
        session.execute(
            text(
                "create function full_disk() returns trigger language plpgsql as"
                " $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$"
            )
        )
        session.execute(
            text("create trigger full_disk before insert on layer_profile execute function full_disk()")
        )
    try:
        yield
    finally:
        with sessions.begin() as session:
            session.execute(text("drop function full_disk cascade"))


def test_a_process_that_is_asked_to_stop_begins_to_close_no_job(sessions: Sessions) -> None:
    job_id = measured_job(sessions)
    stopped = threading.Event()
    stopped.set()
    finalize_jobs(sessions, MODEL, ShutdownDeadline(stopped, 0))
    assert job_of(sessions, job_id).outcome is None


def test_a_failing_job_gets_no_more_results_and_is_finalized(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS, texts_per_shard=2)
    commit(sessions, must_claim(sessions))
    held = must_claim(sessions)
    with sessions.begin() as session:
        completion.mark_failed(session, Job.id == job_id, FAILURE)
    assert claim(sessions) is None
    with pytest.raises(Fenced), sessions.begin() as session:
        shards.renew(session, held, LEASE_SECONDS)
    with pytest.raises(Fenced):
        commit(sessions, held)
    with sessions() as session:
        assert shards.models_with_work(session) == [MODEL]
    finalize_jobs(sessions, MODEL)
    job = job_of(sessions, job_id)
    assert (job.outcome, job.error) == ("failed", FAILURE.problem.to_dict())
    assert rows_of(sessions)[0] == 3 * ROWS_OF_A_LAYER * LAYERS


def test_a_finished_job_cannot_be_marked_failed(sessions: Sessions) -> None:
    job_id = measured_job(sessions)
    finalize_jobs(sessions, MODEL)
    with sessions.begin() as session:
        completion.mark_failed(session, Job.model == MODEL, FAILURE)
    assert job_of(sessions, job_id).error is None


def test_a_reason_is_a_line_without_values() -> None:
    assert completion.reason(ValueError("it would not\n[parameters: a text]")) == "ValueError: it would not"
