"""Jobs over HTTP: submitted once, listed, followed, cancelled, deleted."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app import jobs
from app.models import read_models
from app.presentation import present
from app.queue import queue_of
from app.settings import Settings
from app.tables import Job, Model, ShardDomain, Text
from tests.service.counting import statements
from tests.service.finished_job import MEASURED_WITH, finished_job
from tests.service.jobs_by_hand import commit, must_claim
from tests.service.serving import serving

BODY = {
    "model": "demo",
    "name": "first",
    "texts": {"python": ["print(1)", "print(2)"], "cpp": ["int main() {}"]},
}
UNREACHABLE = "redis://127.0.0.1:1/0"


def submit(api: httpx.Client, **changes: object) -> dict[str, object]:
    answer = api.post("/v1/jobs", json=BODY | changes)
    assert answer.status_code == 202, answer.text
    state: dict[str, object] = answer.json()
    return state


def test_a_submitted_job_is_stored_rung_for_and_described(
    api: httpx.Client, sessions: sessionmaker[Session], redis: Redis
) -> None:
    answer = api.post("/v1/jobs", json=BODY)
    state = answer.json()
    path = f"/v1/jobs/{state['id']}"

    assert answer.status_code == 202
    assert answer.headers["Location"] == path
    assert int(answer.headers["Retry-After"]) > 0
    assert queue_of(redis, "demo").count == 1
    with sessions.begin() as session:
        texts = session.execute(select(Text.ordinal, Text.domain, Text.text).order_by(Text.ordinal)).all()
    assert [tuple(row) for row in texts] == [
        (0, "python", "print(1)"),
        (1, "python", "print(2)"),
        (2, "cpp", "int main() {}"),
    ]
    nothing = {"revision": None, "layers": None, "hidden_size": None, "dtype": None}
    assert state.pop("created_at").endswith("Z")
    assert state == {
        "id": state["id"],
        "name": "first",
        "status": "queued",
        "model": {"name": "demo", "source": "demo/model", **nothing},
        "options": {
            **{"max_tokens": None, "overflow": "truncate", "components": ["block", "attention", "mlp"]},
            **{"window": None, "paired": False, "analyses": [], "analysis_texts": 64},
        },
        "started_at": None,
        "finished_at": None,
        "progress": {
            "texts": 3,
            "done": 0,
            "failed": 0,
            "tokens": 0,
            "texts_per_second": None,
            "eta_seconds": None,
        },
        "domains": {
            "python": {"texts": 2, "done": 0, "failed": 0},
            "cpp": {"texts": 1, "done": 0, "failed": 0},
        },
        "error": None,
        "links": {
            "self": path,
            "events": f"{path}/events",
            "results_csv": f"{path}/results.csv",
            "results_json": f"{path}/results.json",
            "texts_csv": f"{path}/texts.csv",
            "transitions_csv": f"{path}/transitions.csv",
            "page": f"/jobs/{state['id']}",
        },
    }


def test_a_bare_list_is_the_default_domain(api: httpx.Client) -> None:
    assert submit(api, texts=["a", "b"])["domains"] == {"default": {"texts": 2, "done": 0, "failed": 0}}


def test_options_are_stored_whole_and_in_canonical_order(api: httpx.Client) -> None:
    options = {"components": ["mlp", "block"], "max_tokens": 5}
    stored = {
        **{"max_tokens": 5, "overflow": "truncate", "components": ["block", "mlp"]},
        **{"window": None, "paired": False, "analyses": [], "analysis_texts": 64},
    }
    assert submit(api, options=options)["options"] == stored


def test_a_model_s_own_limit_is_the_most_tokens_that_can_be_asked_for(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.add(Model(name="demo", measured_with=MEASURED_WITH))
    submit(api, options={"max_tokens": 2048})
    answer = api.post("/v1/jobs", json=BODY | {"options": {"max_tokens": 2049}})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/options/max_tokens", "detail": "the model reads at most 2048 tokens"}
    ]


def test_the_model_is_described_as_it_was_loaded(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        session.add(Model(name="demo", measured_with=MEASURED_WITH))
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
        "cpp": {"texts": 1, "done": 1, "failed": 0},
        "python": {"texts": 2, "done": 1, "failed": 1},
    }


def test_an_absent_job_is_a_404(api: httpx.Client) -> None:
    for job_id in (uuid4(), "abc", "%00", "..%2f.."):
        for method, rest in (("GET", ""), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/results.csv")):
            answer = api.request(method, f"/v1/jobs/{job_id}{rest}")
            assert answer.status_code == 404, (method, job_id, rest)
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_same_key_and_request_is_the_first_job_again(api: httpx.Client, redis: Redis) -> None:
    first = api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    redis.flushall()
    second = api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["Location"] == first.headers["Location"]
    assert queue_of(redis, "demo").count == 0


def test_the_same_key_for_another_request_is_refused(api: httpx.Client) -> None:
    api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    answer = api.post("/v1/jobs", json=BODY | {"name": "second"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:layerscope:problem:idempotency-key-reused"


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9"])
def test_a_bad_key_is_refused(api: httpx.Client, key: str) -> None:
    answer = api.post("/v1/jobs", json=BODY, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "Idempotency-Key"


def test_of_parallel_requests_with_one_key_one_is_new(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    with ThreadPoolExecutor(30) as pool:
        answers = list(
            pool.map(lambda _: api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"}), range(30))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 29 + [202]
    with sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_a_listing_goes_from_the_newest_to_the_oldest_by_pages(api: httpx.Client) -> None:
    ids = [submit(api, name=f"job {i}")["id"] for i in range(5)]
    answer = api.get("/v1/jobs", params={"limit": 2})
    listed = [job["id"] for job in answer.json()["data"]]
    while answer.json()["next"]:
        assert answer.links["next"]["url"] == answer.json()["next"]
        answer = api.get(answer.json()["next"])
        listed += [job["id"] for job in answer.json()["data"]]
    assert listed == ids[::-1]
    assert "Link" not in answer.headers


def test_a_listing_can_be_narrowed_and_keeps_so_over_pages(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    finished = [str(finished_job(sessions).id) for _ in range(2)]
    submit(api)
    other = submit(api, model="llama-3.2-3b")["id"]
    first = api.get("/v1/jobs", params={"status": "succeeded", "limit": 1}).json()
    second = api.get(first["next"]).json()
    assert [job["id"] for page in (first, second) for job in page["data"]] == finished[::-1]
    assert second["next"] is None
    assert [job["id"] for job in api.get("/v1/jobs?model=llama-3.2-3b").json()["data"]] == [other]
    assert len(api.get("/v1/jobs?status=queued&model=&limit=&cursor=").json()["data"]) == 2


@pytest.mark.parametrize(
    "query", ["status=new", "limit=0", "limit=101", "cursor=x", "model=%00", "stauts=queued"]
)
def test_a_bad_listing_names_its_parameter(api: httpx.Client, query: str) -> None:
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?" + query.split("=")[0]


def test_a_listing_takes_as_many_statements_for_ten_jobs_as_for_one(
    api: httpx.Client, settings: Settings, sessions: sessionmaker[Session], engine: Engine
) -> None:
    models = read_models(settings.models)
    counts = []
    for more in (1, 9):
        for _ in range(more):
            submit(api)
        with sessions.begin() as session, statements(engine) as executed:
            found = jobs.page(session, status=None, model=None, limit=20, before=None)
            present(session, found, models)
        counts.append(len(executed))
    assert counts == [4, 4]


def test_waiting_ends_with_the_job(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    timer = threading.Timer(0.5, lambda: httpx.post(f"{api.base_url}{path}/cancel"))
    timer.start()
    started = time.monotonic()
    answer = api.get(path, params={"wait": 30})
    assert answer.json()["status"] == "cancelled"
    assert "Retry-After" not in answer.headers
    assert 0.4 < time.monotonic() - started < 5


def test_waiting_ends_with_the_time(api: httpx.Client) -> None:
    started = time.monotonic()
    answer = api.get(f"/v1/jobs/{submit(api)['id']}", params={"wait": 0.3})
    assert answer.json()["status"] == "queued"
    assert "Retry-After" in answer.headers
    assert 0.3 <= time.monotonic() - started < 3


@pytest.mark.parametrize("wait", ["-1", "60.1", "nan", "inf", "soon"])
def test_a_bad_wait_is_refused(api: httpx.Client, wait: str) -> None:
    answer = api.get(f"/v1/jobs/{submit(api)['id']}", params={"wait": wait})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["?wait"]


def test_a_hundred_waiters_leave_room_for_others(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    limits = httpx.Limits(max_connections=110)
    with (
        httpx.Client(base_url=api.base_url, limits=limits, timeout=30) as waiting,
        ThreadPoolExecutor(100) as pool,
    ):
        waiters = [pool.submit(waiting.get, path, params={"wait": 4}) for _ in range(100)]
        time.sleep(1)
        started = time.monotonic()
        assert api.get("/v1/jobs").status_code == 200
        assert time.monotonic() - started < 1.5
        assert {waiter.result().status_code for waiter in waiters} == {200}


def test_events_tell_progress_and_the_end(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    seen = []
    with api.stream("GET", f"{path}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("event: "):
                seen.append(line.removeprefix("event: "))
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: "))["status"])
            if seen == ["progress", "queued"]:
                httpx.post(f"{api.base_url}{path}/cancel")
    assert seen == ["progress", "queued", "progress", "cancelled", "finished", "cancelled"]


def test_events_end_where_the_job_is_deleted_and_refuse_where_it_is_absent(api: httpx.Client) -> None:
    path = f"/v1/jobs/{submit(api)['id']}"
    with api.stream("GET", f"{path}/events") as answer:
        httpx.delete(f"{api.base_url}{path}")
        assert answer.read().decode().count("event: ") == 1
    assert api.get(f"{path}/events").status_code == 404


def test_cancelling_ends_a_queued_job_at_once_and_asks_for_a_running_one_s_end(
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


def test_without_redis_a_job_is_accepted_soon(settings: Settings) -> None:
    with serving(settings.model_copy(update={"redis_url": UNREACHABLE})) as url:
        started = time.monotonic()
        answer = httpx.post(f"{url}/v1/jobs", json=BODY)
        assert answer.status_code == 202
        assert time.monotonic() - started < 3
        assert httpx.get(f"{url}/v1/jobs/{answer.json()['id']}").status_code == 200


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
        job.texts = 1_000_000
        session.execute(update(ShardDomain).values(texts=62_500, done=31_250, failed=31_250, tokens=10**12))
    answer = api.get(f"/v1/jobs/{state['id']}")
    assert answer.json()["progress"]["done"] == 500_000
    assert len(answer.content) + len("m" * 64) - len("demo") <= 4096


def test_domains_stand_in_the_order_received(api: httpx.Client) -> None:
    texts = {"zeta": ["a"], "alpha": ["b"], "mid": ["c"]}
    job = api.post("/v1/jobs", json={"model": "demo", "texts": texts}).json()
    assert list(job["domains"]) == list(texts)


def test_a_json_submission_has_no_parameters_in_its_address(api: httpx.Client) -> None:
    answer = api.post("/v1/jobs?model=demo&name=a", json={"model": "demo", "texts": ["a"]})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["?model", "?name"]


def test_a_job_that_never_started_still_names_its_models_source(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={"model": "llama-3.2-3b", "texts": ["a"]}).json()
    cancelled = api.post(f"/v1/jobs/{job['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["model"]["source"] == "meta-llama/Llama-3.2-3B"
