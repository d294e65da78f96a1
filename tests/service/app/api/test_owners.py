"""A key sees the jobs of its owner only: a job of another owner answers exactly like an absent one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app.plots import PLOTS
from app.settings import Settings
from app.tables import Job
from tests.support.http.keys import client_with, new_key
from tests.support.http.over_http import BODY, submit
from tests.support.jobs.finished_job import finished_job
from tests.support.programs.serving import serving

Sessions = sessionmaker[Session]
PAGES = [
    ("GET", path)
    for path in ("/", "/?like={job_id}", "/jobs/{job_id}", "/jobs/{job_id}/texts", "/jobs/{job_id}/texts/0")
]


@pytest.fixture
def url(settings: Settings, sessions: Sessions) -> Iterator[str]:
    """A service with keys."""
    with serving(settings.model_copy(update={"sweep_seconds": 3600})) as address:
        new_key(sessions, "operator", "admin")
        yield address


@pytest.fixture
def alice(url: str, sessions: Sessions) -> Iterator[httpx.Client]:
    with client_with(url, new_key(sessions, "alice")) as client:
        yield client


@pytest.fixture
def bob(url: str, sessions: Sessions) -> Iterator[httpx.Client]:
    with client_with(url, new_key(sessions, "bob")) as client:
        yield client


@pytest.fixture
def admin(url: str, sessions: Sessions) -> Iterator[httpx.Client]:
    with client_with(url, new_key(sessions, "carol", "admin")) as client:
        yield client


def routes(client: httpx.Client) -> list[tuple[str, str]]:
    """Every method and path of the service; its DELETE is last."""
    paths = client.get("/openapi.json").json()["paths"]
    described = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(described) > 25
    return sorted([*described, *PAGES], key=lambda route: route[0] == "DELETE")


def of_a_job(client: httpx.Client) -> list[tuple[str, str]]:
    with_id = [(method, path) for method, path in routes(client) if "{job_id}" in path]
    assert {method for method, _ in with_id} == {"GET", "POST", "DELETE"}
    return with_id


def ask(client: httpx.Client, method: str, path: str, job_id: object) -> httpx.Response:
    return client.request(method, path.format(job_id=job_id, name=next(iter(PLOTS))))


def test_polls_at_the_same_time_are_answered_for_their_owner(
    alice: httpx.Client, bob: httpx.Client, sessions: Sessions
) -> None:
    path = f"/v1/jobs/{submit(alice)['id']}"
    with ThreadPoolExecutor(8) as pool, sessions() as session:
        session.execute(text("lock table job in access exclusive mode"))
        polls = [(client, pool.submit(client.get, path)) for _ in range(4) for client in (alice, bob)]
        time.sleep(0.5)  # the first one is being read, the others wait
        session.rollback()
        for client, poll in polls:
            assert poll.result().status_code == (200 if client is alice else 404)


def owned_by(sessions: Sessions, owner: str) -> UUID:
    job_id = finished_job(sessions, name="secret name").id
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(owner=owner))
    return job_id


def test_a_foreign_job_answers_like_an_absent_one(
    alice: httpx.Client, bob: httpx.Client, sessions: Sessions
) -> None:
    finished, queued, absent = owned_by(sessions, "alice"), submit(alice)["id"], uuid4()
    before = alice.get("/v1/jobs").text
    for method, path in of_a_job(bob):
        without = ask(bob, method, path, absent)
        assert without.status_code == 404, (method, path)
        for foreign in (finished, queued):
            answer = ask(bob, method, path, foreign)
            assert answer.status_code == 404, (method, path)
            assert answer.text.replace(str(foreign), str(absent)) == without.text
            assert without.headers.keys() == answer.headers.keys()
    assert alice.get("/v1/jobs").text == before


def test_a_job_that_its_owner_waits_for_is_as_foreign(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client
) -> None:
    """The service keeps its state for all clients that wait for it."""
    job_id = str(submit(alice)["id"])
    with alice.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        time.sleep(0.3)  # the client has begun to wait
        for path in ("/v1/jobs/{}?wait=5", "/v1/jobs/{}/events"):
            absent, foreign = uuid4(), bob.get(path.format(job_id))
            assert foreign.status_code == 404
            assert foreign.text.replace(job_id, str(absent)) == bob.get(path.format(absent)).text
        assert admin.get(f"/v1/jobs/{job_id}?wait=0.1").status_code == 200


def test_the_owner_and_an_admin_see_the_job(
    alice: httpx.Client, admin: httpx.Client, sessions: Sessions
) -> None:
    for client in (alice, admin):
        finished = owned_by(sessions, "alice")
        for method, path in of_a_job(client):
            answer = ask(client, method, path, finished)
            is_absent_file = "file-not-found" in answer.text  # the job has no such plot or no tokens
            assert answer.status_code != 404 or is_absent_file, (method, path)


def test_lists_and_counts_have_own_jobs_only(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client
) -> None:
    mine, other = submit(alice, name="secret name")["id"], submit(bob)["id"]

    def listed(client: httpx.Client) -> list[str]:
        return [job["id"] for job in client.get("/v1/jobs").json()["data"]]

    def queued(client: httpx.Client) -> int:
        return sum(model["jobs_queued"] for model in client.get("/v1/models").json()["data"])

    assert (listed(alice), listed(bob), listed(admin)) == ([mine], [other], [other, mine])
    assert (queued(alice), queued(bob), queued(admin)) == (1, 1, 2)
    for path in ("/", "/jobs", "/jobs?search=secret", f"/compare?job={mine}"):
        assert "secret name" not in bob.get(path).text
        assert "secret name" in alice.get(path).text
    assert [job["id"] for job in bob.get(f"/v1/jobs?cursor={uuid4()}").json()["data"]] in ([other], [])


def test_owners_can_use_the_same_idempotency_key(alice: httpx.Client, bob: httpx.Client) -> None:
    def posted(client: httpx.Client) -> httpx.Response:
        return client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "1"})

    first, other, again = posted(alice), posted(bob), posted(alice)
    assert [answer.status_code for answer in (first, other, again)] == [202, 202, 200]
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]


def test_an_admin_has_idempotency_keys_of_its_own(alice: httpx.Client, admin: httpx.Client) -> None:
    """An admin sees the jobs of all owners, so the condition on the owner is not enough for it."""
    ids = [
        client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "1"}).json()["id"]
        for client in (alice, admin, admin)
    ]
    assert ids[0] != ids[1] == ids[2]


def test_jobs_from_before_the_first_key_belong_to_local(
    settings: Settings, sessions: Sessions, bob: httpx.Client, url: str
) -> None:
    earlier = str(finished_job(sessions).id)
    with client_with(url, new_key(sessions, "local", "read")) as local:
        assert [job["id"] for job in local.get("/v1/jobs").json()["data"]] == [earlier]
    assert bob.get("/v1/jobs").json()["data"] == []
    with sessions() as session:
        assert session.scalars(select(Job.owner)).all() == ["local"]
