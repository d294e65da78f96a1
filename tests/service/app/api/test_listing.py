"""The list of jobs, in pages."""

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import store
from app.jobs.view import present
from app.models import read_models
from app.resources import MODELS
from app.settings import Settings
from tests.support.databases.counting import statements
from tests.support.http.over_http import submit
from tests.support.jobs.finished_job import finished_job


def test_pages_go_from_the_newest_job_to_the_oldest(api: httpx.Client) -> None:
    ids = [submit(api, name=f"job {i}")["id"] for i in range(5)]
    answer = api.get("/v1/jobs", params={"limit": 2})
    listed = [job["id"] for job in answer.json()["data"]]
    while answer.json()["next"]:
        assert answer.links["next"]["url"] == answer.json()["next"]
        answer = api.get(answer.json()["next"])
        listed += [job["id"] for job in answer.json()["data"]]
    assert listed == ids[::-1]
    assert "Link" not in answer.headers


def test_filters_apply_to_all_pages(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    finished = [str(finished_job(sessions).id) for _ in range(2)]
    submit(api)
    other = submit(api, model="llama-3.2-3b")["id"]
    first = api.get("/v1/jobs", params={"status": "succeeded", "limit": 1}).json()
    second = api.get(first["next"]).json()
    assert [job["id"] for page in (first, second) for job in page["data"]] == finished[::-1]
    assert second["next"] is None
    assert [job["id"] for job in api.get("/v1/jobs?model=llama-3.2-3b").json()["data"]] == [other]
    assert len(api.get("/v1/jobs?status=queued").json()["data"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        *("status=new", "limit=0", "limit=101", "cursor=x", "model=%00", "stauts=queued"),
        *("status=", "limit=", "cursor=", "model=", "limit=1&limit=2", "model=demo&model=demo"),
    ],
)
def test_an_invalid_parameter_is_named(api: httpx.Client, query: str) -> None:
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?" + query.split("=")[0]


def test_a_page_takes_the_same_number_of_statements_for_any_number_of_jobs(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session], engine: Engine
) -> None:
    models = read_models(MODELS)
    counts = []
    for more in (1, 9):
        for _ in range(more):
            submit(api)
        with sessions.begin() as session, statements(engine) as executed:
            found = store.page(session, status=None, model=None, limit=20, before=None)
            present(session, found, models)
        counts.append(len(executed))
    assert counts == [3, 3]
