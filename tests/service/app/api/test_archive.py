"""All files of a job as one ZIP archive."""

import io
import stat
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import httpx
from sqlalchemy.orm import Session, sessionmaker

from app.api.endpoints import archive
from app.files.parquet import Pipe
from app.settings import Settings
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job

Sessions = sessionmaker[Session]


def opened(answer: httpx.Response) -> ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    return ZipFile(io.BytesIO(answer.content))


def test_the_archive_contains_every_file_and_plot_of_the_page(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 3, "c": 2})
    archive = opened(api.get(f"/v1/jobs/{job_id}/files.zip"))
    assert archive.testzip() is None
    page = api.get(f"/jobs/{job_id}").text
    names = archive.namelist()
    assert len(names) == len(set(names)) > 20
    for name in names:
        assert f'href="/v1/jobs/{job_id}/{name}"' in page
        assert archive.read(name) == api.get(f"/v1/jobs/{job_id}/{name}").content
    assert all(f"/{name}" in page for name in ("results.parquet", "plots/relative.svg"))


def test_only_what_is_not_compressed_yet_is_compressed(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 3, "c": 2})
    for entry in opened(api.get(f"/v1/jobs/{job_id}/files.zip")).infolist():
        stored = Path(entry.filename).suffix in (".parquet", ".png")
        assert entry.compress_type == (ZIP_STORED if stored else ZIP_DEFLATED), entry.filename


def test_the_archive_is_named_after_the_job_and_dated_by_its_end(
    api: httpx.Client, sessions: Sessions
) -> None:
    job = finished_job(sessions, name="é/1")
    answer = api.get(f"/v1/jobs/{job.id}/files.zip")
    assert "_1-files.zip" in answer.headers["Content-Disposition"]
    finished = datetime.fromisoformat(api.get(f"/v1/jobs/{job.id}").json()["finished_at"]).astimezone(UTC)
    for entry in opened(answer).infolist():
        assert entry.date_time[:5] == finished.timetuple()[:5]
        assert not stat.S_ISLNK(entry.external_attr >> 16)
    assert api.get(f"/v1/jobs/{job.id}/files.zip").content == answer.content


def test_a_job_that_failed_has_an_archive_of_what_exists(api: httpx.Client, sessions: Sessions) -> None:
    job = finished_job(sessions, failing=[0, 1, 2], outcome="failed", components=["attention"])
    assert "texts.csv" in opened(api.get(f"/v1/jobs/{job.id}/files.zip")).namelist()


def test_before_the_job_is_finished_there_is_no_archive(api: httpx.Client, sessions: Sessions) -> None:
    answer = api.get(f"/v1/jobs/{submit(sessions, [('cpp', 'a')])}/files.zip")
    assert answer.status_code == 409
    assert answer.headers["Retry-After"]


def test_head_writes_no_file(api: httpx.Client, sessions: Sessions, api_settings: Settings) -> None:
    job = finished_job(sessions)
    answer = api.head(f"/v1/jobs/{job.id}/files.zip")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "Content-Length" not in answer.headers
    assert not (api_settings.home / "files" / str(job.id)).exists()


def test_no_more_than_a_piece_is_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.parquet"
    file.write_bytes(bytes(range(256)) * 2**14)
    sink = Pipe()
    with ZipFile(sink, "w") as written:
        pieces = list(archive._add(written, sink, file.name, file, datetime.now(UTC)))
    assert max(map(len, pieces)) < 2 * archive.PIECE_BYTES
    assert ZipFile(io.BytesIO(b"".join([*pieces, sink.take()]))).read(file.name) == file.read_bytes()
