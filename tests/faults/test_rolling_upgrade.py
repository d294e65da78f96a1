"""A rolling upgrade over the last two migrations while a job runs: no process has to be stopped before it.

The earlier processes run the code before these migrations. They continue with the new schema. The new ones
are started too early, with the old schema: they wait for the migrations.
"""

from importlib.metadata import version
from pathlib import Path

import httpx
import psycopg
import pytest

from app.db import NOT_MIGRATED, migrate
from app.settings import Settings
from tests.faults.support.earlier_version import earlier_version, last_revisions
from tests.faults.support.service import random_texts, request_of
from tests.faults.support.watched_worker import WatchedWorker, watched_worker
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import NO_TLS, serving

pytestmark = pytest.mark.slow

TEXTS, SHARDS = random_texts(120), 30
SHARD_SECONDS = 0.4  # so that the shards are not all measured before the last step
FILES = ("results.csv", "texts.csv")


def test_a_job_goes_on_while_every_process_is_replaced(tiny_settings: Settings, tmp_path: Path) -> None:
    settings = tiny_settings
    earlier = earlier_version(tmp_path / "earlier")
    earlier.migrate(settings)
    assert revision_of(settings) == earlier.revision == last_revisions()[0]
    other_home = settings.model_copy(update={"home": tmp_path / "other home"})  # with a cache of its own
    with (
        watched_worker(settings, tmp_path / "new worker", slow=SHARD_SECONDS) as new,
        watched_worker(settings, tmp_path / "old worker", earlier.code, SHARD_SECONDS) as old,
        earlier.api(settings) as old_url,
        serving(other_home) as new_url,
        httpx.Client(base_url=old_url, timeout=90, verify=NO_TLS) as old_api,
        httpx.Client(base_url=new_url, timeout=90, verify=NO_TLS) as new_api,
    ):
        wait_for(lambda: old.injection.events("ready"), 90)
        wait_for(lambda: NOT_MIGRATED in new.log, 90)
        job_id = submit(old_api)
        old.wait_for_commits()
        for revision in last_revisions()[1:]:
            assert_waiting(new, new_api, job_id)
            migrate(settings.database_url or "", revision)
            old.wait_for_commits(2)  # the first of them may have been claimed before the migration
            assert old_api.get(f"/v1/jobs/{job_id}").json()["status"] == "running"
        new.wait_for_commits()
        old.stop()
        new.injection.slow_down(0)
        finished(new_api, job_id)
        assert attempts(settings) == {1}
        assert len(old.committed) + len(new.committed) == len(set(old.committed + new.committed)) == SHARDS
        replaced = files_of(job_id, new_api)
        files_of(finished(old_api, job_id), old_api)
        # The API before also accepts jobs with the new tables. Only the new worker measures this one.
        undisturbed = files_of(finished(new_api, submit(old_api)), new_api)
        assert undisturbed == replaced
        new.stop()
        with watched_worker(settings, tmp_path / "old worker again", earlier.code) as again:
            finished(new_api, submit(new_api))
            assert len(again.committed) == SHARDS
    for log in (old.log, new.log, again.log):
        assert '"level": "error"' not in log


def submit(api: httpx.Client) -> str:
    answer = api.post("/v1/jobs", json=request_of(TEXTS))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def assert_waiting(new: WatchedWorker, new_api: httpx.Client, job_id: str) -> None:
    """The new processes do nothing yet, and say what is missing."""
    assert new.process.poll() is None
    assert not new.injection.events("loading")
    requests = (
        new_api.get("/health/ready"),
        new_api.get(f"/v1/jobs/{job_id}"),
        new_api.post("/v1/jobs", json=request_of(TEXTS)),
        new_api.get("/v1/jobs"),
    )
    for answer in requests:
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":not-migrated")
        assert "retry-after" in answer.headers


def finished(api: httpx.Client, job_id: str) -> str:
    """The job, when it has succeeded."""
    wait_for(lambda: api.get(f"/v1/jobs/{job_id}?wait=10").json()["finished_at"], 120)
    state = api.get(f"/v1/jobs/{job_id}").json()
    assert state["status"] == "succeeded", state
    assert state["progress"]["done"] == len(TEXTS)
    return job_id


def files_of(job_id: str, api: httpx.Client) -> list[bytes]:
    answers = [api.get(f"/v1/jobs/{job_id}/{name}") for name in FILES]
    assert [answer.status_code for answer in answers] == [200] * len(FILES)
    return [answer.content for answer in answers]


def attempts(settings: Settings) -> set[int]:
    """Of all shards. A shard that a stopped worker has given back has used none there."""
    with psycopg.connect(settings.database_url or "") as connection:
        return {int(attempt) for (attempt,) in connection.execute("select attempt from shard").fetchall()}


def revision_of(settings: Settings) -> str:
    with psycopg.connect(settings.database_url or "") as connection:
        ((revision,),) = connection.execute("select version_num from alembic_version").fetchall()
    return str(revision)


def test_a_worker_that_waits_for_migrations_can_be_stopped(tiny_settings: Settings, tmp_path: Path) -> None:
    with watched_worker(tiny_settings, tmp_path / "worker") as worker:
        wait_for(lambda: NOT_MIGRATED in worker.log, 90)
        worker.stop()


def test_a_job_waits_for_a_worker_of_the_version_that_started_it(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    settings = tiny_settings
    migrate(settings.database_url or "")
    with (
        serving(settings) as url,
        httpx.Client(base_url=url, timeout=90, verify=NO_TLS) as api,
    ):
        with watched_worker(settings, tmp_path / "first worker", slow=SHARD_SECONDS) as first:
            job_id = submit(api)
            first.wait_for_commits(2)
            first.stop()
        with watched_worker(settings, tmp_path / "later worker", version="9999") as later:
            undisturbed = files_of(finished(api, submit(api)), api)
            waiting = api.get(f"/v1/jobs/{job_id}").json()
            assert job_id not in {job for job, _ in later.committed}
        assert waiting["status"] == "running"
        needed = f"layerscope version {version('layerscope')}, but the workers have 9999"
        assert any(needed in warning for warning in waiting["warnings"]), waiting["warnings"]
        with watched_worker(settings, tmp_path / "first worker again"):
            assert files_of(finished(api, job_id), api) == undisturbed
