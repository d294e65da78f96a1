"""A job that is deleted or old leaves no row, no file and no URL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, Table, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.access.audit import record_expired_job
from app.coordination import CLOCK, AdvisoryLock
from app.files import cache
from app.jobs import deletion, shards, store
from app.jobs.deletion import TEXTS_PER_BATCH
from app.jobs.shards import TokenResult
from app.settings import Settings
from app.tables import Base, Job
from tests.support.audit_lines import audit_lines
from tests.support.databases.counting import statements
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MODEL, commit, measured, must_claim, submit
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving
from worker.finalization.finalize import finalize_jobs

Sessions = sessionmaker[Session]
TEXTS = [("cpp", "a")] * 3


def rows(sessions: Sessions) -> dict[str, int]:
    with sessions() as session:
        tables = Base.metadata.sorted_tables
        return {t.name: session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


def tables_of_jobs() -> set[str]:
    """The tables that depend on a job, directly or indirectly."""
    found: set[Table] = {Base.metadata.tables["job"]}
    for table in Base.metadata.sorted_tables:
        if any(key.column.table in found for key in table.foreign_keys):
            found.add(table)
    return {table.name for table in found}


def finalized_job(sessions: Sessions) -> UUID:
    """A job that a worker has finalized: it has rows in every table of jobs."""
    texts = [(domain, "a") for domain in ("cpp", "cpp", "python", "python")]
    job_id = submit(sessions, texts, texts_per_shard=4)
    claim = must_claim(sessions)
    tokens = TokenResult([5], {"5": "x"}, b"0000")
    results = [replace(text, token_result=tokens) for text in measured(sessions, claim)]
    with sessions.begin() as session:
        shards.commit(session, claim, results)
    finalize_jobs(sessions, MODEL)
    return job_id


def age(sessions: Sessions, job_id: UUID, days: float) -> None:
    with sessions.begin() as session:
        then = CLOCK - timedelta(days=days)
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=then))


def purge_all(sessions: Sessions, home: Path, days: float | None = 30) -> int:
    """Purges until nothing is left to delete. Returns the number of batches."""
    batches = 0
    while deletion.purge(sessions, home, days, record_expired_job):
        batches += 1
    return batches


def write_cached_file(home: Path, job_id: UUID) -> Path:
    path = cache.path_of(home, job_id, "results.csv")
    cache.write(path, ["a"])
    return path.parent


def test_delete_leaves_no_row_and_no_file(
    api: httpx.Client, api_settings: Settings, sessions: Sessions
) -> None:
    before = rows(sessions)
    job_id = finalized_job(sessions)
    for name in ("results.csv", "texts.csv", "plots/profiles-all.png"):
        api.get(f"/v1/jobs/{job_id}/{name}")
    folder = cache.folder_of(api_settings.home, job_id)
    assert any(folder.iterdir())
    assert {name for name, count in rows(sessions).items() if count > before[name]} >= tables_of_jobs()
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert rows(sessions) == before
    assert not folder.exists()


def test_delete_of_a_running_job_leaves_no_row(api: httpx.Client, sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    commit(sessions, must_claim(sessions))
    must_claim(sessions)
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert set(rows(sessions).values()) == {0}


def test_only_old_jobs_are_purged(sessions: Sessions, tmp_path: Path) -> None:
    old, young = finalized_job(sessions), finalized_job(sessions)
    age(sessions, old, 31)
    age(sessions, young, 29)
    unfinished = submit(sessions, TEXTS)
    folders = {job_id: write_cached_file(tmp_path, job_id) for job_id in (old, young)}
    kept = rows(sessions)
    assert purge_all(sessions, tmp_path) == 1
    with sessions() as session:
        assert set(session.scalars(select(Job.id))) == {young, unfinished}
    assert {name for name, count in rows(sessions).items() if count < kept[name]} == tables_of_jobs()
    deletion.purge(sessions, tmp_path, 30, record_expired_job)
    assert [folders[job_id].exists() for job_id in (old, young)] == [False, True]


def test_the_end_of_a_retention_period_is_audited(sessions: Sessions, tmp_path: Path) -> None:
    job_id = finished_job(sessions).id
    with audit_lines() as lines:
        purge_all(sessions, tmp_path)
        assert lines == []
        age(sessions, job_id, 31)
        purge_all(sessions, tmp_path)
    assert lines == [("job expired", {"owner": "local", "job": str(job_id)})]


def test_without_a_retention_period_nothing_is_purged(sessions: Sessions, tmp_path: Path) -> None:
    age(sessions, finished_job(sessions).id, 10_000)
    assert purge_all(sessions, tmp_path, None) == 0
    assert rows(sessions)["job"] == 1


def test_a_large_job_is_deleted_in_batches(sessions: Sessions, engine: Engine, tmp_path: Path) -> None:
    job_id = finished_job(sessions, [("cpp", "a")] * (2 * TEXTS_PER_BATCH + 1)).id
    age(sessions, job_id, 31)
    with statements(engine) as executed:
        assert purge_all(sessions, tmp_path) == 3
    assert sum(statement.startswith("DELETE FROM text") for statement in executed) == 3
    assert set(rows(sessions).values()) == {0}


def test_the_rest_of_an_interrupted_deletion_is_hidden_and_purged_later(
    api: httpx.Client, sessions: Sessions, tmp_path: Path
) -> None:
    job_id = finished_job(sessions).id
    path = f"/v1/jobs/{job_id}"
    with sessions.begin() as session:
        store.delete_job(session, job_id)
    for answer in (api.get(path), api.get(f"{path}/texts.csv"), api.post(f"{path}/cancel"), api.delete(path)):
        assert answer.status_code == 404
    assert api.get("/v1/jobs").json()["data"] == []
    assert 'layerscope_jobs{status="succeeded"} 0.0' in api.get("/metrics").text
    assert rows(sessions)["text"] == 3
    assert purge_all(sessions, tmp_path, None) == 1
    assert set(rows(sessions).values()) == {0}


def test_the_key_of_a_deleted_job_can_be_reused_immediately(sessions: Sessions) -> None:
    first = submit(sessions, TEXTS, key="k")
    with sessions.begin() as session:
        store.delete_job(session, first)
    assert submit(sessions, TEXTS, key="k") != first


def test_one_process_at_a_time_purges(sessions: Sessions, tmp_path: Path, database_url: str) -> None:
    age(sessions, finished_job(sessions).id, 31)
    with psycopg.connect(database_url) as other:
        other.execute("select pg_advisory_xact_lock(%s)", (int(AdvisoryLock.PURGE),))
        assert purge_all(sessions, tmp_path) == 0
    assert purge_all(sessions, tmp_path) == 1


def test_files_of_a_job_that_another_process_deleted_are_removed(sessions: Sessions, tmp_path: Path) -> None:
    existing, deleted = finished_job(sessions).id, finished_job(sessions).id
    folders = [write_cached_file(tmp_path, job_id) for job_id in (existing, deleted)]
    other = tmp_path / "files" / "notes"
    other.mkdir()
    with sessions.begin() as session:
        store.delete_job(session, deleted)
    deletion.delete_rows(sessions, deleted)
    purge_all(sessions, tmp_path, None)
    assert [folder.exists() for folder in (*folders, other)] == [True, False, True]


@pytest.fixture
def short_retention(settings: Settings) -> Iterator[str]:
    changes = {"retention_days": 1, "sweep_seconds": 0.1}
    with serving(settings.model_copy(update=changes)) as url:
        yield url


def test_the_service_purges_old_jobs_by_itself(
    short_retention: str, settings: Settings, sessions: Sessions
) -> None:
    job_id = finished_job(sessions).id
    address = f"{short_retention}/v1/jobs/{job_id}"
    assert httpx.get(f"{address}/texts.csv").status_code == 200
    age(sessions, job_id, 2)
    gone: list[Callable[[], bool]] = [
        lambda: httpx.get(address).status_code == 404,
        lambda: set(rows(sessions).values()) == {0},
        lambda: not cache.folder_of(settings.home, job_id).exists(),
    ]
    for is_gone in gone:
        wait_for(is_gone)
