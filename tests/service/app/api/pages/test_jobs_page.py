"""The list of jobs, and the form of the home page that repeats one of them."""

import re
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session, sessionmaker

from app.api.pages.jobs_page import JOBS_PER_PAGE
from app.jobs import store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from app.schemas import Options
from app.tables import Job
from layerscope.names import Analysis, Component, Overflow, SpecialTokens, Status
from tests.support.databases.counting import statements
from tests.support.http.html_page import Attributes, Page, read
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import claim, submit

Sessions = sessionmaker[Session]
JOB = re.compile(r'<th scope="row"><a href="/jobs/([0-9a-f-]{36})">')
OTHERS = Options(
    max_tokens=100,
    overflow=Overflow.FAIL,
    components=[Component.BLOCK],
    window=32,
    paired=True,
    analyses=[Analysis.ABLATION],
    analysis_texts=5,
    special_tokens=SpecialTokens.PARSE,
)


def listed(api: httpx.Client, **query: str) -> list[UUID]:
    answer = api.get("/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [UUID(found) for found in JOB.findall(answer.text)]


def named(sessions: Sessions, name: str) -> UUID:
    job_id = submit(sessions, [("cpp", "a")])
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(name=name))
    return job_id


def with_options(sessions: Sessions, options: Options) -> UUID:
    texts = [("cpp", "a"), ("python", "b")]
    draft = Draft(model="demo", name="mine", options=options.model_dump(mode="json"))
    with sessions.begin() as session:
        return store.submit(session, draft, texts, ShardSize(10**9, 10**6))[0].id


def is_sent(field: Attributes) -> bool:
    return field.get("type") != "checkbox" or "checked" in field


def sent_by(page: Page) -> dict[str, list[str]]:
    """What a browser would send of the form for a new job: fields, checked boxes, selected options."""
    found: dict[str, list[str]] = {}
    for tag, attributes, _ in page.elements:
        if tag == "select":
            select = attributes["name"] or ""
        elif tag == "option" and ("selected" in attributes or select not in found):
            found[select] = [attributes["value"] or ""]
        elif tag == "input" and attributes["name"] not in ("file", "job") and is_sent(attributes):
            found.setdefault(attributes["name"] or "", []).append(attributes.get("value") or "")
    return found


def test_jobs_are_found_by_their_name_and_by_the_beginning_of_their_id(
    api: httpx.Client, sessions: Sessions
) -> None:
    hundred, percent = named(sessions, "100 % cpp"), named(sessions, "100 of CPP_2")
    other = submit(sessions, [("cpp", "a")])
    assert listed(api) == [other, percent, hundred]
    assert listed(api, search="cpp") == [percent, hundred]
    assert listed(api, search="100 %") == [hundred]
    assert listed(api, search="_") == [percent]
    assert listed(api, search=str(other).upper()) == [other]
    assert listed(api, search=str(other)[:8]) == [other, percent, hundred]
    assert listed(api, search="nothing") == listed(api, search="\x00nothing") == []


def test_jobs_are_filtered_by_status_and_model(api: httpx.Client, sessions: Sessions) -> None:
    succeeded, failed = finished_job(sessions).id, finished_job(sessions, outcome="failed").id
    running = submit(sessions, [("cpp", "a")])
    assert claim(sessions)
    queued, other = submit(sessions, [("cpp", "a")]), submit(sessions, [("cpp", "a")], model="gone")
    assert listed(api, status="succeeded") == [succeeded]
    assert listed(api, status="failed") == [failed]
    assert listed(api, status="running") == [running]
    assert listed(api, status="queued") == [other, queued]
    assert listed(api, model="gone", status="", search="") == [other]
    assert listed(api, model="gone", status="running") == []


def test_every_page_of_a_long_list_has_the_next_older_jobs(api: httpx.Client, sessions: Sessions) -> None:
    jobs = [named(sessions, f"é & {i}") for i in range(2 * JOBS_PER_PAGE + 1)][::-1]
    address: str | None = "/jobs?search=%C3%A9+%26"
    found: list[UUID] = []
    while address:
        page = api.get(address)
        found += [UUID(job_id) for job_id in JOB.findall(page.text)]
        links = [a for a in Page(page.text).all("a") if a.get("rel") == "next"]
        address = f"/jobs{links[0]['href']}" if links else None
    assert found == jobs


def test_the_list_takes_the_same_number_of_statements_for_any_number_of_jobs(
    api: httpx.Client, sessions: Sessions
) -> None:
    counts = []
    for _ in range(2):
        submit(sessions, [("cpp", "a"), ("python", "b")])
        with statements(Engine) as executed:
            read(api, "/jobs?search=0")
        counts.append(sum("api_key" not in statement for statement in executed))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("query", ["status=done", "before=x", "search=" + "a" * 101, "sort=name"])
def test_an_unknown_filter_is_refused(api: httpx.Client, database_url: str, query: str) -> None:
    assert api.get(f"/jobs?{query}").status_code == 422


def test_the_list_names_the_options_that_are_not_the_default_ones(
    api: httpx.Client, sessions: Sessions
) -> None:
    with_options(sessions, Options())
    assert "demo; default options; " in read(api, "/jobs").text
    with_options(sessions, OTHERS)
    words = (
        "demo; block only; only the first 32 tokens; at most 100 tokens; longer texts fail; paired; "
        "ablation of 5 texts a domain; special tokens are parsed; "
    )
    assert words in read(api, "/jobs").text
    assert words in read(api, "/").text


@pytest.mark.parametrize("options", [Options(), OTHERS])
def test_the_form_contains_the_options_of_a_job_that_runs_again(
    api: httpx.Client, sessions: Sessions, options: Options
) -> None:
    job_id = with_options(sessions, options)
    (link,) = [a for a in read(api, "/jobs").all("a") if a.get("href") == f"/?like={job_id}"]
    sent = sent_by(read(api, link["href"] or ""))
    assert sent["name"] == ["mine"]
    answer = api.post("/v1/jobs", data=sent, files={"file": ("", b"")})
    assert answer.status_code == 202, answer.text
    assert Options(**answer.json()["options"]) == options
    assert answer.json()["domains"].keys() == {"cpp", "python"}


def test_a_status_has_a_shape_of_its_own(api: httpx.Client) -> None:
    style = api.get("/static/page.css").text
    found = re.findall(r'^(\.badge[^{]*)\{.*?content: "(.)" / "";', style, re.MULTILINE)
    rules = {name: shape for names, shape in found for name in re.findall(r"\.badge(\.\w+|)::before", names)}
    shapes = [rules.get(f".{status}", rules[""]) for status in Status]
    assert len(set(shapes)) == len(Status)


def test_failed_texts_are_not_counted_as_measured_without_a_word(
    api: httpx.Client, sessions: Sessions
) -> None:
    finished_job(sessions, failing=[2])
    assert "3 of 3 texts<br>1 failed</p>" in api.get("/jobs").text
