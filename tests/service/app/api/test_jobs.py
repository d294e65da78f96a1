"""A job over HTTP: its state, cancelling, deleting."""

from collections.abc import Sequence
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.api.endpoints.files import FILES
from app.jobs.notifications import queue_of
from app.settings import Settings
from app.tables import Job, LoadedModel, ShardDomain, Text
from layerscope.names import COMPONENTS
from tests.support.http.over_http import submit
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MEASURED_WITH, commit, must_claim


def test_the_model_is_described_as_a_worker_loaded_it(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.add(LoadedModel(name="demo", measured_with=MEASURED_WITH))
    expected = {
        name: MEASURED_WITH[name] for name in ("source", "revision", "layers", "hidden_size", "dtype")
    }
    assert submit(api)["model"] == {"name": "demo", **expected}


def test_progress_adds_up_while_a_job_runs(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job = submit(api)
    commit(sessions, must_claim(sessions), failing=[1])
    state = api.get(f"/v1/jobs/{job['id']}").json()
    progress = state["progress"]
    assert state["status"] == "running"
    assert (progress["texts"], progress["done"], progress["failed"], progress["tokens"]) == (3, 2, 1, 22)
    assert progress["texts_per_second"] > 0
    assert progress["eta_seconds"] == 0
    assert state["domains"] == {
        "cpp": {"texts": 1, "done": 1, "failed": 0, "measured": 0},
        "python": {"texts": 2, "done": 1, "failed": 1, "measured": 0},
    }


@pytest.mark.parametrize("components", [COMPONENTS, ["mlp"]])
@pytest.mark.parametrize("analyses", [[], ["tokens"]])
def test_every_file_that_a_job_has_is_among_its_links(
    api: httpx.Client, sessions: sessionmaker[Session], components: Sequence[str], analyses: list[str]
) -> None:
    job_id = finished_job(sessions, components=components).id
    with sessions.begin() as session:
        job = session.get_one(Job, job_id)
        job.options = job.options | {"analyses": analyses}
        files = {file.name for file in FILES if file.exists_for(job)}
    path = f"/v1/jobs/{job_id}"
    links = api.get(path).json()["links"]
    assert {link for link in links.values() if link.startswith(path)} == {
        *(path, f"{path}/events", f"{path}/plots"),
        *(f"{path}/{name}" for name in files),
    }
    for address in links.values():
        if not address.endswith("/events"):
            assert api.get(address).status_code == 200, address


def test_only_an_unfinished_job_can_be_cancelled(api: httpx.Client) -> None:
    job = submit(api)
    path = f"/v1/jobs/{job['id']}"
    links = api.get(path).json()["links"]
    assert api.post(links["cancel"]).status_code == 202
    assert "cancel" not in api.get(path).json()["links"]


def test_a_job_that_does_not_exist_is_a_404(api: httpx.Client) -> None:
    for job_id in (uuid4(), "abc", "%00", "..%2f.."):
        for method, rest in (("GET", ""), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/results.csv")):
            answer = api.request(method, f"/v1/jobs/{job_id}{rest}")
            assert answer.status_code == 404, (method, job_id, rest)
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_queued_job_is_cancelled_immediately_and_a_running_one_by_a_worker(
    api: httpx.Client, sessions: sessionmaker[Session], redis: Redis
) -> None:
    running = submit(api)
    must_claim(sessions)
    queued = submit(api)
    redis.flushall()
    first = api.post(f"/v1/jobs/{queued['id']}/cancel")
    assert (first.status_code, first.json()["status"]) == (202, "cancelled")
    second = api.post(f"/v1/jobs/{running['id']}/cancel")
    assert (second.status_code, second.json()["status"]) == (202, "running")
    assert queue_of(redis, "demo").count == 1
    again = api.post(f"/v1/jobs/{queued['id']}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "urn:layerscope:problem:job-finished")


def test_deleting_leaves_nothing(
    api: httpx.Client, api_settings: Settings, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions)
    path = f"/v1/jobs/{job.id}"
    assert api.get(f"{path}/results.csv").status_code == 200
    assert (api_settings.home / "files" / str(job.id)).exists()
    answer = api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not (api_settings.home / "files" / str(job.id)).exists()
    assert api.get(path).status_code == 404
    assert api.get(f"{path}/results.csv").status_code == 404
    with sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(Text)) == 0


def test_the_state_of_the_longest_job_is_at_most_4_kib(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    domains = {f"{i:064d}": ["a"] for i in range(16)}
    state = submit(api, name="\U0001f300" * 100, texts=domains, options={"max_tokens": 2**31 - 1})
    longest = "\x01\U0001f300" * 10_000
    with sessions.begin() as session:
        job = session.get_one(Job, state["id"])
        job.measured_with = MEASURED_WITH | {"source": longest, "revision": longest}
        job.error = {
            "type": "urn:layerscope:problem:model-unavailable",
            "title": "The model",
            "detail": longest,
        }
        job.outcome, job.started_at, job.finished_at = "failed", job.created_at, job.created_at
        job.texts, job.model = 1_000_000, "m" * 64
        session.execute(update(ShardDomain).values(texts=62_500, done=31_250, failed=31_250, tokens=10**12))
    answer = api.get(f"/v1/jobs/{state['id']}")
    assert answer.json()["progress"]["done"] == 500_000
    assert len(answer.content) <= 4096
    assert answer.json()["error"]["detail"].endswith("…")


def test_a_job_that_never_started_names_the_source_of_its_model(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={"model": "llama-3.2-3b", "texts": ["a"]}).json()
    cancelled = api.post(f"/v1/jobs/{job['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["model"]["source"] == "meta-llama/Llama-3.2-3B"
