"""Jobs submitted over HTTP, and never twice with one key."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.notifications import queue_of
from app.settings import Settings
from app.tables import Job, LoadedModel, Text
from tests.support.http.over_http import BODY, submit
from tests.support.jobs.jobs_by_hand import MEASURED_WITH
from tests.support.programs.serving import serving

UNREACHABLE = "redis://127.0.0.1:1/0"


def queued_state(job_id: str) -> dict[str, Any]:
    """The state of the job of BODY before any worker has loaded its model, without `created_at`."""
    path = f"/v1/jobs/{job_id}"
    unknown = {"revision": None, "layers": None, "hidden_size": None, "dtype": None}
    counts = {"texts": 3, "done": 0, "failed": 0, "measured": 0, "tokens": 0}
    rates = dict.fromkeys(("texts_per_second", "tokens_per_second", "eta_seconds"))
    tables = ("results", "texts", "comparison")
    files = (
        *("transitions.csv", "first_token.csv", "first_token.json", "massive_tokens.csv"),
        *("massive_tokens.json", "results.json", "comparison.json", "texts.ndjson"),
        *(f"{table}.{suffix}" for table in tables for suffix in ("csv", "parquet")),
    )
    return {
        "id": job_id,
        "name": "first",
        "status": "queued",
        "model": {"name": "demo", "source": "demo/model", **unknown},
        "options": {
            **{"max_tokens": None, "overflow": "truncate", "components": ["block", "attention", "mlp"]},
            **{"window": None, "paired": False, "analyses": [], "analysis_texts": 64},
            "special_tokens": "literal",
        },
        "started_at": None,
        "finished_at": None,
        "progress": {**counts, **rates, "phase": "waiting", "share": 0},
        "domains": {
            "python": {"texts": 2, "done": 0, "failed": 0, "measured": 0},
            "cpp": {"texts": 1, "done": 0, "failed": 0, "measured": 0},
        },
        "error": None,
        "warnings": [
            "No worker serves the model demo. The job waits until one is started.",
            "Fewer than 8 texts: python has 2, cpp has 1. Their intervals assume normal values.",
        ],
        "links": {
            **{"self": path, "page": f"/jobs/{job_id}", "texts_page": f"/jobs/{job_id}/texts"},
            **{name: f"{path}/{name}" for name in ("events", "cancel", "plots")},
            **{name.replace(".", "_"): f"{path}/{name}" for name in files},
        },
    }


def test_a_submitted_job_is_stored_announced_and_described(
    api: httpx.Client, sessions: sessionmaker[Session], redis: Redis
) -> None:
    answer = api.post("/v1/jobs", json=BODY)
    state = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{state['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert queue_of(redis, "demo").count == 1
    with sessions.begin() as session:
        texts = session.execute(select(Text.ordinal, Text.domain, Text.text).order_by(Text.ordinal)).all()
    assert [tuple(row) for row in texts] == [
        (0, "python", "print(1)"),
        (1, "python", "print(2)"),
        (2, "cpp", "int main() {}"),
    ]
    assert state.pop("created_at").endswith("Z")
    assert state == queued_state(state["id"])


def test_a_bare_list_is_the_default_domain(api: httpx.Client) -> None:
    assert submit(api, texts=["a", "b"])["domains"] == {
        "default": {"texts": 2, "done": 0, "failed": 0, "measured": 0}
    }


def test_options_are_stored_whole_and_in_canonical_order(api: httpx.Client) -> None:
    options = {"components": ["mlp", "block"], "max_tokens": 5}
    stored = {
        **{"max_tokens": 5, "overflow": "truncate", "components": ["block", "mlp"]},
        **{"window": None, "paired": False, "analyses": [], "analysis_texts": 64},
        "special_tokens": "literal",
    }
    assert submit(api, options=options)["options"] == stored


def test_max_tokens_must_not_exceed_what_the_model_can_read(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    with sessions.begin() as session:
        session.add(LoadedModel(name="demo", measured_with=MEASURED_WITH))
    submit(api, options={"max_tokens": 2048})
    answer = api.post("/v1/jobs", json=BODY | {"options": {"max_tokens": 2049}})
    assert answer.status_code == 422
    detail = "must be at most 2048, the number of tokens that the model can read"
    assert answer.json()["errors"] == [{"pointer": "/options/max_tokens", "detail": detail}]


def test_domains_keep_the_order_received(api: httpx.Client) -> None:
    texts = {"zeta": ["a"], "alpha": ["b"], "mid": ["c"]}
    job = api.post("/v1/jobs", json={"model": "demo", "texts": texts}).json()
    assert list(job["domains"]) == list(texts)


def test_a_json_submission_has_no_query_parameters(api: httpx.Client) -> None:
    answer = api.post("/v1/jobs?model=demo&name=a", json={"model": "demo", "texts": ["a"]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["?model", "?name"]


def test_without_redis_a_job_is_accepted_quickly(settings: Settings) -> None:
    with serving(settings.model_copy(update={"redis_url": UNREACHABLE})) as url:
        started = time.monotonic()
        answer = httpx.post(f"{url}/v1/jobs", json=BODY)
        assert answer.status_code == 202
        assert time.monotonic() - started < 3
        assert httpx.get(f"{url}/v1/jobs/{answer.json()['id']}").status_code == 200


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


def test_parallel_requests_with_one_key_create_one_job(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    with ThreadPoolExecutor(30) as pool:
        answers = list(
            pool.map(lambda _: api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"}), range(30))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 29 + [202]
    with sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1
