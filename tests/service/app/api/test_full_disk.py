"""A service whose disk is full says so, keeps nothing of the request, and works when there is space again."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.settings import MIB, Settings
from tests.support.deployment.small_disk import small_disk
from tests.support.http.over_http import submit
from tests.support.http.slow_clients import service
from tests.support.jobs.finished_job import finished_job

DISK = 4 * MIB
TEXT = "x" * 1_000_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "home", DISK) as folder:
        yield folder


@pytest.fixture
def api(api_settings: Settings, database_url: str, redis_url: str, home: Path) -> Iterator[httpx.Client]:
    with service(api_settings, home) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def assert_disk_full(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:layerscope:problem:disk-full")


def test_an_upload_that_does_not_fit_is_not_kept(api: httpx.Client, home: Path) -> None:
    lines = f'{{"text": "{TEXT}"}}\n' * 5
    headers = {"Content-Type": "application/x-ndjson"}
    assert_disk_full(api.post("/v1/jobs?model=demo", content=lines, headers=headers))
    assert api.get("/v1/jobs").json()["data"] == []
    assert list((home / "uploads").iterdir()) == []
    submit(api)


# python-multipart leaves the file that it could not write to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_form_whose_files_do_not_fit_a_second_time_is_not_kept(api: httpx.Client, home: Path) -> None:
    files = [("file", ("a.txt", TEXT * 3))]
    assert_disk_full(api.post("/v1/jobs", data={"model": "demo"}, files=files))
    assert api.get("/v1/jobs").json()["data"] == []
    assert list((home / "uploads").iterdir()) == []


def test_a_file_that_cannot_be_written_is_written_later(
    api: httpx.Client, home: Path, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    with (home / "filler").open("wb") as filler, pytest.raises(OSError, match="No space left"):
        filler.write(bytes(2 * DISK))
    path = f"/v1/jobs/{job.id}/texts.csv"
    assert_disk_full(api.get(path))
    (home / "filler").unlink()
    assert api.get(path).status_code == 200
