"""How the files of finished jobs are served."""

import asyncio
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session, sessionmaker
from starlette.types import Message

from app.api.job_files import JobFile, StableFile, write_file
from app.api.middleware import HEAD
from app.errors import JobNotFound, TooBusy
from app.files import cache
from app.jobs import store
from app.main import make_service
from app.settings import Settings
from app.tables import LoadedModel
from tests.support.http.over_http import path
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MEASURED_WITH, must_claim, submit
from tests.support.programs.serving import serving

NAMES = (
    *("results.csv", "results.json", "texts.csv", "texts.ndjson", "transitions.csv"),
    *("comparison.csv", "comparison.json", "first_token.csv", "first_token.json"),
    *("massive_tokens.csv", "massive_tokens.json"),
    *("results.parquet", "texts.parquet", "comparison.parquet"),
)


def test_files_do_not_exist_before_the_job_is_finished(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    must_claim(sessions)
    for name in NAMES:
        answer = api.get(path(job_id, name))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:layerscope:problem:job-not-finished")
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("name", ["transitions.parquet", "comparison.xlsx"])
def test_files_that_are_not_offered_are_not_found(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    answer = api.get(path(finished_job(sessions).id, name))
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_a_length_a_strong_etag_and_ranges(
    api: httpx.Client, sessions: sessionmaker[Session], name: str
) -> None:
    address = path(finished_job(sessions, name="first").id, name)
    whole = api.get(address)
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(rf'"[^"]+-{cache.FORMAT}"', whole.headers["ETag"])  # another format has other bytes
    assert whole.headers["Content-Disposition"] == f'attachment; filename="first-{name}"'

    head = api.head(address)
    assert (head.status_code, head.content) == (200, b"")
    same = ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Accept-Ranges")
    assert [head.headers[header] for header in same] == [whole.headers[header] for header in same]

    for known in (whole.headers["ETag"], f'"other", W/{whole.headers["ETag"]}', "*"):
        unchanged = api.get(address, headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["ETag"] == whole.headers["ETag"]
    assert api.get(address, headers={"If-None-Match": '"other"'}).status_code == 200

    rest = api.get(address, headers={"Range": "bytes=10-", "If-Range": whole.headers["ETag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert rest.headers["Content-Range"] == f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}"
    assert api.get(address, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert api.get(address, headers={"Range": "bytes=10-", "If-Range": '"other"'}).content == whole.content


@pytest.mark.parametrize(
    "header",
    [
        "bytes={size}-",
        "bytes={after}-",
        "bytes={size}-,{after}-{after}",
        "bytes=-0",
        "bytes=" + "9" * 80 + "-",
    ],
)
def test_a_range_after_the_end_is_a_problem(
    api: httpx.Client, sessions: sessionmaker[Session], header: str
) -> None:
    address = path(finished_job(sessions).id, "results.csv")
    size = len(api.get(address).content)
    answer = api.get(address, headers={"Range": header.format(size=size, after=size + 1000)})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:layerscope:problem:range-not-satisfiable"
    assert problem["detail"] == f"The file has {size} bytes."


@pytest.mark.parametrize(
    "header",
    [
        *("bytes", "lines=1-2", "bytes=a-b", "bytes=9-1", "bytes=,", "bytes=-", "bytes=--5", "bytes=+1-5"),
        *(
            "bytes=0-4,9-1",
            "bytes=0-4,x",
            "bytes=1_0-2_0",
            "bytes=" + "9" * 81 + "-",
            "bytes=0-1" + ",3-4" * 100,
        ),
    ],
)
def test_a_range_that_cannot_be_read_is_ignored(
    api: httpx.Client, sessions: sessionmaker[Session], header: str
) -> None:
    address = path(finished_job(sessions).id, "results.csv")
    whole = api.get(address)
    answer = api.get(address, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, whole.content)
    same = ("Content-Length", "ETag", "Content-Type", "Content-Disposition")
    assert [answer.headers[name] for name in same] == [whole.headers[name] for name in same]


def test_several_ranges_are_answered_together(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    address = path(finished_job(sessions).id, "results.csv")
    whole = api.get(address).content
    answer = api.get(address, headers={"Range": "bytes=0-4,10-14"})
    assert answer.status_code == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges")
    assert whole[:5] in answer.content
    assert whole[10:15] in answer.content


def test_ranges_after_the_end_are_ignored_if_others_are_not(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    address = path(finished_job(sessions).id, "results.csv")
    whole = api.get(address).content
    after = f"{len(whole)}-{len(whole) + 9}"
    for header in (
        f"bytes=2-5,{after}",
        f"bytes={after},2-5",
        "bytes=2-5,-0",
        "bytes=4-5,2-3",
        "bytes=4-5,2-3,3-4",
    ):
        answer = api.get(address, headers={"Range": header})
        assert (answer.status_code, answer.content) == (206, whole[2:6])
        assert answer.headers["Content-Range"] == f"bytes 2-5/{len(whole)}"
    answer = api.get(address, headers={"Range": f"bytes=0-4,{after},10-14"})
    assert answer.status_code == 206
    assert re.findall(rb"Content-Range: (.*)\r\n", answer.content) == [
        b"bytes 0-4/%d" % len(whole),
        b"bytes 10-14/%d" % len(whole),
    ]


def test_every_machine_serves_the_same_bytes_and_etags(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    here = [api.get(path(job.id, name)) for name in NAMES]
    with serving(settings) as url, httpx.Client(base_url=url) as elsewhere:
        there = [elsewhere.get(path(job.id, name)) for name in NAMES]
    for one, other in zip(here, there, strict=True):
        assert (one.content, one.headers["ETag"]) == (other.content, other.headers["ETag"])


def test_the_files_of_a_job_that_no_worker_started_never_change(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    api.post(f"/v1/jobs/{job_id}/cancel")
    before = api.get(path(job_id, "results.json")).content
    with sessions.begin() as session:
        session.add(LoadedModel(name="demo", measured_with=MEASURED_WITH))
    with serving(settings) as url:
        assert httpx.get(f"{url}{path(job_id, 'results.json')}").content == before


def test_head_does_not_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("a")
    sent: list[Message] = []

    async def note(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "headers": [], HEAD: True, "asgi": {"spec_version": "2.4"}}
    asyncio.run(StableFile(file)(scope, nothing, note))
    assert [message.get("body", b"") for message in sent] == [b"", b""]


def test_a_file_that_vanishes_before_it_is_opened_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("a")
    answer = StableFile(file, stat_result=file.stat())
    file.unlink()
    sent: list[Message] = []

    async def note(message: Message) -> None:
        sent.append(message)

    async def connected() -> Message:
        return await asyncio.Future[Message]()

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.3"}}
    with pytest.raises(TooBusy, match="Try again"):
        asyncio.run(answer(scope, connected, note))
    assert sent == []


def test_many_simultaneous_first_requests_write_one_file(
    api: httpx.Client, api_settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, [("cpp", "a")] * 200)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.get(path(job.id, "texts.csv")), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(list((api_settings.home / "files" / str(job.id)).iterdir())) == 1


@pytest.mark.parametrize("piece", ["", "a"], ids=["only the row", "the row and its folder"])
def test_a_job_deleted_while_its_file_is_written_leaves_no_file(
    settings: Settings, sessions: sessionmaker[Session], piece: str
) -> None:
    job_id = finished_job(sessions).id
    service = make_service(settings, CollectorRegistry())

    def deleting(*_: object) -> Generator[str, None, None]:
        with sessions.begin() as session:
            store.delete_job(session, job_id)
        if piece:
            cache.remove(settings.home, job_id)
        yield piece

    with pytest.raises(JobNotFound):
        write_file(JobFile("results.csv", "text/csv", deleting), service, job_id)
    service.engine.dispose()
    assert not cache.folder_of(settings.home, job_id).exists()


def test_head_describes_the_whole_file(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = finished_job(sessions, [("cpp", "a")])
    whole = api.get(path(job.id, "results.csv"))
    head = api.head(path(job.id, "results.csv"), headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.content)))
