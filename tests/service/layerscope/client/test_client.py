"""The client against a real API, with jobs whose numbers are known."""

import csv
import io
import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pandas
import polars
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.errors import ModelUnavailable
from app.settings import Settings
from app.tables import Job as JobRow
from layerscope import Client, Job
from layerscope.client import tables
from layerscope.client.errors import (
    ForbiddenError,
    InvalidRequestError,
    JobCancelledError,
    JobNotFinishedError,
    JobNotFoundError,
    LimitExceededError,
    MissingPackageError,
    ModelUnavailableError,
    UnauthorizedError,
    WaitTimeoutError,
)
from tests.support.http.keys import new_key
from tests.support.jobs.finished_job import finished_job
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]


@pytest.fixture
def client(api: httpx.Client) -> Iterator[Client]:
    with Client(str(api.base_url)) as opened:
        yield opened


@pytest.fixture
def finished(client: Client, sessions: Sessions) -> Job:
    return client.get(str(finished_job(sessions, name="known").id))


def test_the_state_of_a_job_is_typed(client: Client) -> None:
    job = client.submit({"cpp": ["a", "b"], "python": ["c"]}, model="demo", name="first")
    assert UUID(job.id)
    assert (job.name, job.status, job.is_finished) == ("first", "queued", False)
    assert {name: found.texts for name, found in job.domains.items()} == {"cpp": 2, "python": 1}
    assert (job.progress.texts, job.progress.tokens_per_second) == (3, None)
    assert job.url == f"{client.url}/jobs/{job.id}"
    assert job.state.model.name == "demo"
    assert job.state.options["window"] is None
    assert repr(job) == f"<Job {job.id} 'first', queued: 0 of 3 texts>"


def test_an_invalid_text_is_an_error_that_names_its_place(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        client.profile({"cpp": ["a", " "], "python": [""]}, model="demo")
    assert [place.pointer for place in refused.value.errors] == ["/texts/cpp/1", "/texts/python/0"]
    assert "/texts/python/0: is empty" in str(refused.value)


def test_an_unknown_option_is_an_error_that_names_it(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match="windows: is not a known field"):
        client.submit(["a"], model="demo", windows=3)  # type: ignore[call-arg]


def test_a_limit_is_an_error_that_names_it(client: Client) -> None:
    with pytest.raises(LimitExceededError, match="LAYERSCOPE_DOMAINS_PER_JOB_LIMIT"):
        client.submit({f"domain-{i}": ["a"] for i in range(17)}, model="demo")


def test_an_invalid_text_of_a_stream_can_fail(client: Client) -> None:
    assert client.submit({"cpp": ["a", ""]}, model="demo", on_invalid="fail").progress.texts == 2


def test_an_open_file_can_be_submitted(client: Client) -> None:
    file = io.BytesIO(b'{"text": "a"}\n{"text": "b"}\n')
    assert client.submit_stream(file, "demo", compressed=False, window=1).progress.texts == 2


def test_all_jobs_are_listed_page_by_page(client: Client) -> None:
    ids = [client.submit(["a"], model="demo").id for _ in range(23)]
    assert [job.id for job in client.list()] == ids[::-1]
    assert [job.id for job in client.list(status="running")] == []
    assert len(list(client.list(status="queued", model="demo"))) == 23


def test_cancelling_and_deleting(client: Client) -> None:
    job = client.submit(["a"], model="demo")
    assert job.cancel().status == "cancelled"
    assert job.refresh().is_finished
    job.delete()
    for call in (job.delete, job.refresh, lambda: client.get(str(uuid4())), lambda: client.get("no id")):
        with pytest.raises(JobNotFoundError):
            call()


def test_waiting_ends_when_the_job_is_cancelled(client: Client, sessions: Sessions) -> None:
    job = client.submit(["a"], model="demo")
    thread = threading.Timer(0.5, lambda: client.cancel(job.id))
    thread.start()
    started = time.monotonic()
    with pytest.raises(JobCancelledError) as raised:
        job.wait()
    thread.join()
    assert raised.value.job is job
    assert time.monotonic() - started < 20


def test_waiting_raises_the_reason_of_a_failed_job(client: Client, sessions: Sessions) -> None:
    job = client.submit(["a"], model="demo")
    problem = ModelUnavailable("The model has no weights.").problem.to_dict()
    with sessions.begin() as session:
        session.execute(
            update(JobRow).values(started_at=CLOCK, finished_at=CLOCK, outcome="failed", error=problem)
        )
    with pytest.raises(ModelUnavailableError, match=r"The model has no weights\.") as raised:
        client.wait(job.id)
    assert raised.value.job.results() == []


def test_the_time_to_wait_can_be_limited(client: Client, sessions: Sessions) -> None:
    job = client.submit(["a"], model="demo")
    with pytest.raises(WaitTimeoutError, match=r"was not finished within 0\.2 s"):
        job.wait(0.2)
    with sessions.begin() as session:
        assert session.scalars(select(JobRow.outcome)).one() is None


def test_waiting_for_a_finished_job_returns_it(finished: Job) -> None:
    assert finished.wait() is finished


@pytest.mark.parametrize("name", ["results", "texts"])
def test_rows_have_the_numbers_of_the_file(finished: Job, api: httpx.Client, name: str) -> None:
    rows = getattr(finished, name)()
    cells = list(csv.DictReader(io.StringIO(api.get(f"/v1/jobs/{finished.id}/{name}.csv").text)))
    assert len(rows) == len(cells) > 100
    for row, of_file in zip(rows, cells, strict=True):
        shown = {key: "" if value is None else str(value) for key, value in row.items() if key != "truncated"}
        assert shown.items() <= of_file.items()


def test_frames_have_the_rows(finished: Job) -> None:
    rows = finished.results()
    frame = finished.results("pandas")
    assert isinstance(frame, pandas.DataFrame)
    assert frame["relative_norm"].tolist() == [row["relative_norm"] for row in rows]
    other = finished.results(as_="polars")
    assert isinstance(other, polars.DataFrame)
    assert other.rows(named=True) == rows
    assert finished.texts("polars")["ordinal"].n_unique() == 3
    assert finished.comparison() == []
    assert finished.comparison("pandas").shape[0] == 0


def test_plots_are_listed(finished: Job) -> None:
    assert {plot.name for plot in finished.plots() if plot.unavailable} == {"importance", "ablation", "lens"}


def test_a_missing_package_is_an_error_that_names_it(finished: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tables.PACKAGES, "polars", ("polars_that_nobody_has",))
    with pytest.raises(MissingPackageError, match="run `pip install polars_that_nobody_has`"):
        finished.results("polars")
    with pytest.raises(ValueError, match="as_ must be one of rows, pandas, polars"):
        finished.results("arrow")  # type: ignore[call-overload]


def test_files_exist_after_the_end(client: Client) -> None:
    job = client.submit(["a"], model="demo")
    with pytest.raises(JobNotFinishedError):
        job.results()


def test_a_finished_job_is_shown_with_a_chart_and_an_unfinished_one_without(
    client: Client, finished: Job
) -> None:
    assert "<svg" in finished._repr_html_()
    assert "<svg" not in client.submit(["a"], model="demo")._repr_html_()


def test_a_job_that_was_deleted_is_still_shown(finished: Job) -> None:
    finished.delete()
    assert "<svg" not in finished._repr_html_()


def test_the_key_is_sent(settings: Settings, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    key, reader = new_key(sessions, "alice"), new_key(sessions, "alice", "read")
    with serving(settings) as url:
        with Client(url) as client, pytest.raises(UnauthorizedError, match="key"):
            client.models()
        with Client(url, api_key=reader) as client, pytest.raises(ForbiddenError):
            client.submit(["a"], model="demo")
        monkeypatch.setenv("LAYERSCOPE_API_KEY", key)
        with Client(url) as client:
            assert client.submit(["a"], model="demo").status == "queued"
