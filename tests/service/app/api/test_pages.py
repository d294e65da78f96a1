"""The pages as the service sends them. test_pages_in_browser.py tests them in a browser."""

import re
from collections import Counter
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import store
from app.plots import PLOTS
from app.submission import rules
from app.tables import Job
from layerscope.names import DEFAULT_DOMAIN
from tests.support.databases.counting import statements
from tests.support.http.html_page import Page, read
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import submit
from tests.support.jobs.lognormal_job import lognormal_job

HOSTILE = "</script><svg onload=alert(1)>\"'&"
CANARY = "canary-3f1c"
SCRIPTS = (
    *("/static/page.js", "/static/charts.js", "/static/echarts/echarts.min.js"),
    *("/static/docs.js", "/static/redoc/redoc.standalone.js"),
)
ABSENT = UUID(int=0)
FIELDS = ("input", "select", "textarea")


@pytest.fixture
def every_page(api: httpx.Client, sessions: sessionmaker[Session]) -> list[str]:
    finished = finished_job(sessions, [("cpp", CANARY), ("python", "b")], name=HOSTILE, failing=[0])
    queued = submit(sessions, [("cpp", CANARY)])
    named = ["/", "/jobs", f"/?like={finished.id}", f"/jobs/{finished.id}"]
    named.append(f"/compare?job={finished.id}&job={queued}")
    return [*named, "/models", f"/jobs/{queued}", f"/jobs/{ABSENT}", f"/?like={ABSENT}", "/docs"]


def pages(api: httpx.Client, paths: list[str]) -> list[Page]:
    return [read(api, path, 404 if str(ABSENT) in path else 200) for path in paths]


def test_nothing_is_inline_and_nothing_comes_from_other_sites(
    api: httpx.Client, every_page: list[str]
) -> None:
    for page in pages(api, every_page):
        assert not page.all("style", "svg")
        for script in page.all("script"):
            assert script.get("type") == "application/json" or script["src"] in SCRIPTS
        for _, attributes, _ in page.elements:
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert not [a for a in page.addresses() if not a.startswith(("/", "#")) or a.startswith("//")]


def test_a_name_is_shown_as_text(api: httpx.Client, every_page: list[str]) -> None:
    for path in every_page[:5]:
        assert HOSTILE in read(api, path).text


def test_texts_are_on_no_page(api: httpx.Client, every_page: list[str]) -> None:
    assert not [path for path in every_page if CANARY in api.get(path).text]


def test_pages_are_accessible(api: httpx.Client, every_page: list[str]) -> None:
    for page in pages(api, every_page):
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        ids = Counter(a["id"] for _, a, _ in page.elements if "id" in a)
        assert set(ids.values()) == {1}
        for tag, attributes, around in page.elements:
            assert tag not in FIELDS or "label" in around or attributes.get("type") == "hidden"
            assert tag != "img" or attributes["alt"] is not None
            assert tag != "progress" or attributes["aria-label"]
            assert attributes.get("aria-labelledby", next(iter(ids))) in ids


def test_every_link_of_a_finished_job_works(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id, _ = lognormal_job(sessions, {"b": 3, "c": 2})
    addresses = read(api, f"/jobs/{job_id}").addresses()
    drawn = [name for name, plot in PLOTS.items() if plot.analysis is None]
    plots = {f"/v1/jobs/{job_id}/plots/{name}.{ending}" for name in drawn for ending in ("png", "svg")}
    assert {address for address in addresses if "/plots/" in address} == plots
    assert {f"/v1/jobs/{job_id}/{name}" for name in ("results.csv", "texts.csv")} <= addresses
    for address in addresses - {"#main"}:
        assert api.get(address).status_code == 200, address


def test_a_page_offers_only_plots_and_files_of_what_was_measured(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job = finished_job(sessions, components=["attention", "mlp"])
    addresses = read(api, f"/jobs/{job.id}").addresses()
    plots = {address for address in addresses if "/plots/" in address}
    assert {address.rsplit("/")[-1].split(".")[0] for address in plots} == {"components", "massive"}
    assert f"/v1/jobs/{job.id}/transitions.csv" not in addresses


def test_an_unfinished_job_offers_no_files_and_is_refreshed_without_scripts(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    page = read(api, f"/jobs/{submit(sessions, [('cpp', 'a'), ('cpp', 'b')])}")
    assert not [address for address in page.addresses() if "results.csv" in address or "/plots/" in address]
    assert [around[-1] for _, a, around in page.elements if "http-equiv" in a] == ["noscript"]
    assert "0 of 2 texts measured" in page.text
    headings = ("Domain", "Texts", "Measured", "Failed")
    assert all(heading in page.text for heading in headings)
    assert "No worker serves the model demo" in page.text
    assert [a.get("data-do") for a in page.all("button")] == ["cancel", "delete"]


def test_a_finished_job_is_not_refreshed(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    page = read(api, f"/jobs/{finished_job(sessions).id}")
    assert not [a for a in page.all("meta") if "http-equiv" in a]
    assert [a["data-do"] for a in page.all("button") if "data-do" in a] == ["delete"]
    assert [a["data-live"] for _, a, _ in page.elements if "data-live" in a] == ["finished"]


def test_a_failed_job_shows_the_reason(api: httpx.Client, sessions: sessionmaker[Session]) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    problem = {"type": "urn:x", "title": "The model can't be loaded", "detail": "no <weights>"}
    with sessions.begin() as session:
        session.execute(update(Job).values(outcome="failed", finished_at=CLOCK, error=problem))
    page = read(api, f"/jobs/{job_id}")
    assert "The model can't be loaded" in page.text
    assert "no <weights>" in page.text
    assert not [address for address in page.addresses() if "/plots/" in address]


def test_a_cancelled_job_says_that_its_files_are_incomplete(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    job_id = submit(sessions, [("cpp", "a")])
    with sessions.begin() as session:
        store.cancel(session, job_id)
    assert "what was measured before the job ended" in read(api, f"/jobs/{job_id}").text


@pytest.mark.parametrize("job_id", [str(ABSENT), "nothing", "%3Cb%3E"])
def test_a_job_that_does_not_exist_has_a_page(api: httpx.Client, database_url: str, job_id: str) -> None:
    assert "This job does not exist" in read(api, f"/jobs/{job_id}", 404).text


def test_the_home_page_shows_the_newest_jobs_and_all_models(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    older, newer = submit(sessions, [("cpp", "a")]), submit(sessions, [("cpp", "a")])
    page = read(api, "/")
    links = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("/jobs/")]
    assert links == [f"/jobs/{newer}", f"/jobs/{older}"]
    models = {m["name"] for m in api.get("/v1/models").json()["data"]}
    assert models <= {a["value"] for a in page.all("option")}
    assert f"curl -fsS {str(api.base_url).rstrip('/')}/v1/jobs " in page.text


def test_the_form_accepts_the_names_that_the_service_accepts(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    (domain,) = [a for a in read(api, "/").all("input") if a["name"] == "pasted_domain"]
    pattern = re.compile(domain["pattern"] or "")
    for name in ("default", "a.b_c-D9", "d" * 64, "d" * 65, "a b", "*", "é", "a\n"):
        assert bool(pattern.fullmatch(name)) == (rules.domain_error(name) is None), name
    assert domain["value"] == DEFAULT_DOMAIN


def test_a_host_with_markup_is_shown_as_text(api: httpx.Client) -> None:
    answer = api.get("/", headers={"Host": 'localhost:"><b>'})
    assert answer.status_code in (200, 400)
    assert "<b>" not in answer.text
    refused = api.get("/", headers={"Host": 'a"><b>'})
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_the_home_page_takes_the_same_number_of_statements_for_any_number_of_jobs(
    api: httpx.Client, sessions: sessionmaker[Session]
) -> None:
    counts = []
    for _ in range(2):
        submit(sessions, [("cpp", "a"), ("python", "b")])
        with statements(Engine) as executed:
            read(api, "/")
        # A found key, or that there is none, is remembered for a second.
        counts.append(sum("api_key" not in statement for statement in executed))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("name", ["page.js", "page.css", "icon.svg"])
def test_scripts_and_styles_are_revalidated(api: httpx.Client, name: str) -> None:
    answer = api.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    again = api.get(f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert api.head(f"/static/{name}").status_code == 200


def test_no_other_file_of_the_package_is_served(api: httpx.Client) -> None:
    for path in ("/static/", "/static/..%2fpages.py", "/static/%2e%2e/html.py", "/static/none.css"):
        assert api.get(path).status_code == 404
