"""Properties of every answer, and the state of the service itself."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from app.db import migrate
from app.errors import ConfigurationError
from app.jobs import store
from app.main import create_app
from app.resources import ROOT
from app.settings import Settings
from tests.service.app.api.test_owners import routes
from tests.support.jobs.finished_job import finished_job
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import serving

JOB = "01a20a26-33f5-7641-a213-2cafd04d4b7f"
BODY = {"model": "demo", "texts": ["a"]}
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:layerscope:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/jobs/", 404, "not-found"),
        ("PUT", "/v1/jobs", 405, "method-not-allowed"),
        ("HEAD", f"/v1/jobs/{JOB}/cancel", 405, "method-not-allowed"),
        ("GET", f"/v1/jobs/{JOB}", 404, "job-not-found"),
        ("GET", "/v1/jobs?limit=none", 422, "invalid-request"),
    ],
)
def test_errors_of_the_framework_are_problems_too(
    api: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = api.request(method, path)
    if method == "HEAD":
        assert answer.status_code == status
    else:
        assert_problem(answer, status, code)


def test_a_405_lists_all_methods_of_the_path(api: httpx.Client) -> None:
    answer = api.put("/v1/jobs")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert answer.json()["detail"] == "/v1/jobs supports GET, HEAD and POST."
    assert api.put(f"/v1/jobs/{JOB}").headers["Allow"] == "DELETE, GET, HEAD"


@pytest.mark.parametrize(
    ("job_id", "shown"), [("abc", "'abc'"), ("x" * 1000, f"'{'x' * 80}…'")], ids=["short", "long"]
)
def test_a_path_without_a_valid_job_id_is_not_found(api: httpx.Client, job_id: str, shown: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/results.csv")
    assert_problem(answer, 404, "job-not-found")
    assert answer.json()["detail"] == f"{shown} is not a valid job id."


def test_every_call_refuses_unknown_parameters(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id = finished_job(sessions).id
    for method, path in [("GET", "/docs"), ("GET", "/openapi.json"), ("POST", "/session"), *routes(api)]:
        answer = api.request(
            method,
            path.format(job_id=job_id, name="relative"),
            params={"waitt": "60"},
            json=BODY if path in ("/v1/jobs", "/v1/jobs#stream") else None,
        )
        assert_problem(answer, 422, "invalid-request")
        assert answer.json()["errors"][0]["pointer"] == "?waitt", (method, path)
    assert api.get(f"/v1/jobs/{job_id}").status_code == 200  # it was not deleted


@pytest.mark.parametrize("query", ["wait=0&wait=0", "wait=nan", "wait=61", "wait="])
def test_an_invalid_wait_is_refused(api: httpx.Client, sessions: sessionmaker[Session], query: str) -> None:
    answer = api.get(f"/v1/jobs/{finished_job(sessions).id}?{query}")
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["?wait"]


def test_invalid_parameters_are_named_in_the_detail(api: httpx.Client) -> None:
    problem = api.get("/v1/jobs?limit=0&cursor=x&statuss=queued").json()
    errors = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert errors.keys() == {"?limit", "?cursor", "?statuss"}
    assert errors["?statuss"].startswith("is not a known parameter; did you mean status?")
    first = problem["errors"][0]
    assert problem["detail"] == f"{first['pointer']}: {first['detail']}. 3 errors were found."


def test_an_unexpected_error_is_a_problem_without_its_reason(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(store, "page", fail)
    answer = api.get("/v1/jobs", headers={"X-Request-Id": "mine"})
    assert_problem(answer, 500, "internal-server-error")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-Id"] == "mine"
    assert "canary" not in answer.text


def test_an_invalid_statement_is_an_unexpected_error(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ProgrammingError("select", {}, psycopg.errors.SyntaxError())

    monkeypatch.setattr(store, "page", fail)
    assert_problem(api.get("/v1/jobs"), 500, "internal-server-error")


@pytest.mark.parametrize("given", ["abc-1", "x" * 128])
def test_a_request_keeps_its_id(api: httpx.Client, given: str) -> None:
    for path in ("/v1/jobs", "/nowhere", "/health/live"):
        assert api.get(path, headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "caf\u00e9"])
def test_a_request_with_an_invalid_id_or_none_gets_one(api: httpx.Client, given: str) -> None:
    ids = {
        api.get("/v1/jobs", headers={b"X-Request-Id": given.encode("latin-1")}).headers["X-Request-Id"]
        for _ in "ab"
    }
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f-]{36}", each) for each in ids)


def test_head_works_for_every_path_that_supports_get(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = str(finished_job(sessions).id)
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        address = path.replace("{job_id}", job_id)
        if "get" not in operations or "{" in address:
            continue
        get, head = api.get(address), api.head(address)
        assert (head.status_code, head.content) == (get.status_code, b""), address
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_head_of_the_events_of_a_running_job_ends(api: httpx.Client) -> None:
    job_id = api.post("/v1/jobs", json=BODY).json()["id"]
    assert api.head(f"/v1/jobs/{job_id}/events").status_code == 200
    assert api.get("/health/live").status_code == 200  # on the same connection


def test_health(api: httpx.Client) -> None:
    assert api.get("/health/live").json() == {"status": "live"}
    assert api.get("/health/ready").json() == {"status": "ready"}


def test_without_redis_the_service_is_degraded(settings: Settings) -> None:
    with serving(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as url:
        ready = httpx.get(f"{url}/health/ready")
        models = httpx.get(f"{url}/v1/models").json()["data"]
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "degraded": ["redis"]})
    assert {model["workers_alive"] for model in models} == {None}


@pytest.fixture(scope="module")
def without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        home=tmp_path_factory.mktemp("away"),
        database_url=UNREACHABLE,
        redis_url="redis://127.0.0.1:1/0",
        models=ROOT / "models.toml",
        sweep_seconds=3600,
    )
    with serving(settings) as url:
        yield url


ROUTES = [
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", f"/v1/jobs/{JOB}"),
    ("GET", f"/v1/jobs/{JOB}/events"),
    ("POST", f"/v1/jobs/{JOB}/cancel"),
    ("DELETE", f"/v1/jobs/{JOB}"),
    ("GET", f"/v1/jobs/{JOB}/results.csv"),
    ("GET", "/v1/models"),
    ("GET", "/health/ready"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_its_database_the_service_says_so(without_database: str, method: str, path: str) -> None:
    answer = httpx.request(method, f"{without_database}{path}", json=BODY if path == "/v1/jobs" else None)
    assert_problem(answer, 503, "database-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_without_its_database_the_service_lives_and_counts(without_database: str) -> None:
    assert httpx.get(f"{without_database}/health/live").status_code == 200
    metrics = httpx.get(f"{without_database}/metrics").text
    assert "layerscope_database_up 0.0" in metrics
    assert "layerscope_http_requests_total" in metrics


def test_before_the_migrations_the_service_says_so(settings: Settings, empty_database_url: str) -> None:
    with serving(settings.model_copy(update={"database_url": empty_database_url})) as url:
        assert_problem(httpx.get(f"{url}/health/ready"), 503, "not-migrated")
        assert_problem(httpx.get(f"{url}/v1/jobs"), 503, "not-migrated")
        migrate(empty_database_url)
        assert httpx.get(f"{url}/health/ready").status_code == 200


def test_models(api: httpx.Client) -> None:
    api.post("/v1/jobs", json=BODY)
    demo, llama = api.get("/v1/models").json()["data"]
    unknown = {"revision": None, "layers": None, "hidden_size": None, "max_tokens": None, "workers_alive": 0}
    assert demo == {"name": "demo", "source": "demo/model", **unknown, "dtype": None, "jobs_queued": 1}
    assert llama["name"] == "llama-3.2-3b"
    assert (llama["source"], llama["jobs_queued"]) == ("meta-llama/Llama-3.2-3B", 0)


def test_one_configured_model_need_not_be_named(settings: Settings, tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.write_text('[only]\nsource = "demo/model"\n')
    with serving(settings.model_copy(update={"models": models})) as url:
        assert httpx.post(f"{url}/v1/jobs", json={"texts": ["a"]}).json()["model"]["name"] == "only"


@pytest.mark.parametrize("missing", ["database_url", "redis_url"])
def test_a_service_without_an_address_does_not_start(settings: Settings, missing: str) -> None:
    with pytest.raises(ConfigurationError, match="LAYERSCOPE_DATABASE_URL"):
        create_app(settings.model_copy(update={missing: None}))


def test_interrupted_requests_leave_no_connection(api: httpx.Client, api_url: str, engine: Engine) -> None:
    job_id = api.post("/v1/jobs", json=BODY).json()["id"]
    for _ in range(20):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{api_url}/v1/jobs/{job_id}?wait=5", timeout=0.05)
    wait_for(lambda: not open_transactions(engine))


def open_transactions(engine: Engine) -> int:
    query = (
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%%'"
    )
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())
