"""A backup of the database that was made while a job ran, restored to other servers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import make_engine, make_sessions, migrate
from app.local.servers import running_servers
from app.settings import Settings
from app.tables import Shard
from tests.faults.support.service import headers_of, random_texts, request_of
from tests.faults.support.watched_worker import WatchedWorker, watched_worker
from tests.support.jobs.jobs_by_hand import commit, must_claim, submit
from tests.support.programs.postgres_programs import dump, restore
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import NO_TLS, serving

pytestmark = pytest.mark.slow

TEXTS = random_texts(80)  # 20 shards
SHARD_SECONDS = 0.5
DUMP_SECONDS = 5  # more than it takes
KEY = "the same request"
FILES = ("results.csv", "texts.csv")


@dataclass(frozen=True)
class ShardState:
    is_done: bool
    is_leased: bool
    attempt: int


@contextmanager
def running(settings: Settings, folder: Path, slow: float) -> Iterator[tuple[httpx.Client, WatchedWorker]]:
    with (
        watched_worker(settings, folder, slow=slow) as worker,
        serving(settings) as url,
        httpx.Client(base_url=url, timeout=90, verify=NO_TLS) as api,
    ):
        yield api, worker


def test_a_job_continues_from_a_backup_on_other_servers(tiny_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "layerscope.dump"
    migrate(tiny_settings.database_url or "")
    with running(tiny_settings, tmp_path / "before", SHARD_SECONDS) as (api, worker):
        job_id = str(request(api)["id"])
        worker.wait_for_commits(3)
        worker.injection.slow_down(DUMP_SECONDS)  # so that a shard is leased meanwhile
        known = len(worker.injection.events("measuring"))
        wait_for(lambda: len(worker.injection.events("measuring")) > known)
        dump(tiny_settings.database_url or "", file)
        assert api.get(f"/v1/jobs/{job_id}").json()["status"] == "running"
        worker.injection.slow_down(0)
        undisturbed = files_of(job_id, api)
    with running_servers(tmp_path / "servers") as servers:
        restore(file, servers.database_url)
        addresses = {"database_url": servers.database_url, "redis_url": servers.redis_url}
        settings = tiny_settings.model_copy(update={**addresses, "home": tmp_path / "restored"})
        saved = shards_of(settings, job_id)
        done = {number for number, shard in saved.items() if shard.is_done}
        leased = {number for number, shard in saved.items() if shard.is_leased}
        assert 3 <= len(done) < len(saved) == 20
        assert len(leased) == 1
        with running(settings, tmp_path / "after", 0) as (api, worker):
            assert files_of(job_id, api) == undisturbed
            assert request(api)["id"] == job_id  # an Idempotency-Key from before the backup
            measured = {number for _, number in worker.committed}
        assert measured == saved.keys() - done
        attempts = {number: shard.attempt for number, shard in shards_of(settings, job_id).items()}
        assert attempts == {number: 1 + (number in leased) for number in saved}


def request(api: httpx.Client) -> dict[str, object]:
    answer = api.post("/v1/jobs", json=request_of(TEXTS), headers=headers_of(KEY))
    assert answer.status_code in (200, 202), answer.text
    state: dict[str, object] = answer.json()
    return state


def files_of(job_id: str, api: httpx.Client) -> list[bytes]:
    wait_for(lambda: api.get(f"/v1/jobs/{job_id}?wait=10").json()["finished_at"], 120)
    state = api.get(f"/v1/jobs/{job_id}").json()
    assert (state["status"], state["progress"]["done"]) == ("succeeded", len(TEXTS)), state
    answers = [api.get(f"/v1/jobs/{job_id}/{name}") for name in FILES]
    assert [answer.status_code for answer in answers] == [200] * len(FILES)
    return [answer.content for answer in answers]


def shards_of(settings: Settings, job_id: str) -> dict[int, ShardState]:
    engine = make_engine(settings.database_url or "")
    with Session(engine) as session:
        rows = session.scalars(select(Shard).where(Shard.job_id == UUID(job_id))).all()
    engine.dispose()
    return {
        row.number: ShardState(row.done_at is not None, row.lease_until is not None, row.attempt)
        for row in rows
    }


def test_a_copy_of_the_home_folder_contains_everything(tmp_path: Path) -> None:
    """Of `layerscope up`, while it is stopped."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    with running_servers(home) as servers:
        migrate(servers.database_url)
        engine = make_engine(servers.database_url)
        sessions = make_sessions(engine)
        job_id = submit(sessions, [("cpp", "int x;")] * 4)
        commit(sessions, must_claim(sessions))
        engine.dispose()
        settings = Settings(database_url=servers.database_url)
        saved = shards_of(settings, str(job_id))
    shutil.copytree(home, copy, symlinks=True)
    shutil.rmtree(home)
    with running_servers(copy) as servers:
        assert shards_of(Settings(database_url=servers.database_url), str(job_id)) == saved
    assert {number: shard.is_done for number, shard in saved.items()} == {0: True, 1: False}
