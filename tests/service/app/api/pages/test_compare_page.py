"""The page that compares jobs: the numbers of their files, and the reasons where they cannot be compared."""

import csv
import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from app.api.pages.compare_page import MOST_JOBS
from app.charts import comparability, compared_jobs
from app.tables import Job
from tests.support.http.html_page import read
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import MEASURED_WITH, submit
from tests.support.jobs.lognormal_job import lognormal_job

Sessions = sessionmaker[Session]
CHART = re.compile(r'id="chart-compared".*?<script type="application/json">(.*?)</script>', re.DOTALL)
REASON = re.compile(r'<p class="alert">(.*?)</p>')
REMARK = re.compile(r"<li>(.*?)</li>")
HOSTILE = "</script><svg onload=alert(1)>"


@pytest.fixture
def jobs(sessions: Sessions) -> list[UUID]:
    """Two jobs with the same texts."""
    return [lognormal_job(sessions, {"b": 9, "a": 8})[0] for _ in range(2)]


def with_layers(sessions: Sessions, layers: int, **changes: Any) -> UUID:
    """A job of a model with so many layers."""
    job = finished_job(sessions, layers=layers)
    change(sessions, job.id, measured_with=MEASURED_WITH | {"layers": layers, "revision": "r2"}, **changes)
    return job.id


def change(sessions: Sessions, job_id: UUID, **values: Any) -> None:
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def page(api: httpx.Client, *jobs: object, **query: Any) -> str:
    answer = api.get("/compare", params={"job": [str(job) for job in jobs], **query})
    assert answer.status_code == 200, answer.text
    return answer.text


def chart_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(html.unescape(CHART.findall(text)[0]))
    return found


def reasons(text: str) -> list[str]:
    return [html.unescape(found) for found in REASON.findall(text)]


def remarks(text: str) -> list[str]:
    return [html.unescape(found) for found in REMARK.findall(text)]


def rows(api: httpx.Client, job: UUID, **only: str) -> list[dict[str, str]]:
    found = csv.DictReader(api.get(f"/v1/jobs/{job}/results.csv").text.splitlines())
    return [row for row in found if all(row[name] == value for name, value in only.items())]


def test_each_line_has_the_numbers_of_its_job(
    api: httpx.Client, sessions: Sessions, jobs: list[UUID]
) -> None:
    third, _ = lognormal_job(sessions, {"a": 5, "c": 4})
    selected = {"metric": "cosine", "scope": "rest", "component": "mlp"}
    chart = chart_of(page(api, *jobs, third, **selected, domain=["a", "c", "*"]))
    lines = {series["name"]: series for series in chart["series"]}
    shown = ["A, a", "B, a", "C, a", "A, all texts", "B, all texts", "C, all texts", "C, c"]
    assert sorted(lines) == sorted(shown)
    for name, series in lines.items():
        letter, domain = name.split(", ")
        job = [*jobs, third]["ABC".index(letter)]
        of_domain = rows(api, job, scope="rest", component="mlp", domain=domain.replace("all texts", "*"))
        for column, values in (("cosine", "values"), ("cosine_ci_low", "low"), ("cosine_ci_high", "high")):
            assert series[values] == [pytest.approx(float(row[column]), rel=5e-4) for row in of_domain]
        assert series["texts"] == of_domain[0]["texts"]


def test_without_a_selection_it_is_the_common_domains(api: httpx.Client, sessions: Sessions) -> None:
    first, second = lognormal_job(sessions, {"b": 2, "a": 2})[0], lognormal_job(sessions, {"c": 2, "a": 2})[0]
    assert [series["name"] for series in chart_of(page(api, first, second))["series"]] == ["A, a", "B, a"]
    other = lognormal_job(sessions, {"c": 2})[0]
    assert [series["name"] for series in chart_of(page(api, first, other))["series"]] == [
        "A, b",
        "A, a",
        "B, c",
    ]


def test_models_with_different_layers_are_compared_by_relative_depth(
    api: httpx.Client, sessions: Sessions
) -> None:
    three, five = with_layers(sessions, 3), with_layers(sessions, 5)
    chart = chart_of(page(api, three, five, domain="cpp", scope="all"))
    assert [series["at"] for series in chart["series"]] == [[0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]]
    by_layer = page(api, three, five, domain="cpp", scope="all", axis="layer")
    assert not CHART.findall(by_layer)
    assert any("different numbers of layers (A 3, B 5)" in reason for reason in reasons(by_layer))
    (link,) = re.findall(r'<a href="(/compare\?[^"]*)">Compare them', by_layer)
    assert chart_of(api.get(html.unescape(link)).text) == chart


def test_a_single_layer_is_at_depth_0(api: httpx.Client, sessions: Sessions) -> None:
    jobs = with_layers(sessions, 1), with_layers(sessions, 2)
    chart = chart_of(page(api, *jobs, domain="cpp", scope="all"))
    assert [series["at"] for series in chart["series"]] == [[0], [0, 1]]


def test_the_table_has_a_row_for_each_depth(api: httpx.Client, sessions: Sessions) -> None:
    jobs = with_layers(sessions, 3), with_layers(sessions, 4)
    text = page(api, *jobs, domain="cpp", scope="all")
    assert re.findall(r'<tr><th scope="row">([\d.]+)</th>', text) == ["0", "0.333", "0.5", "0.667", "1"]


def test_a_job_without_the_numbers_is_left_out_with_the_reason(
    api: httpx.Client, sessions: Sessions, jobs: list[UUID]
) -> None:
    parts = finished_job(sessions, components=["attention", "mlp"]).id
    old = finished_job(sessions, scopes=["all", "rest", "first"]).id
    failed = finished_job(sessions, outcome="failed").id
    change(sessions, failed, measured_with=MEASURED_WITH)
    waiting = submit(sessions, [("a", "x")])
    text = page(api, jobs[0], parts, old, waiting, jobs[1])
    assert reasons(text) == [
        "Job B was measured without the component block: it has attention, mlp.",
        "Job C was measured by a version without the scope typical: select rest.",
        "Job D is queued: it can be compared after it is finished.",
    ]
    assert {series["name"][0] for series in chart_of(text)["series"]} == {"A", "E"}


def test_a_job_without_measured_texts_has_no_numbers(
    api: httpx.Client, sessions: Sessions, jobs: list[UUID]
) -> None:
    empty, _ = lognormal_job(sessions, {"a": 1}, failing=(0,))
    text = page(api, jobs[0], empty)
    first, second = reasons(text)
    assert first.startswith("Job B has no such numbers")
    assert second.startswith("A comparison needs two jobs")
    assert not CHART.findall(text)


def test_jobs_that_do_not_exist_are_named(api: httpx.Client, jobs: list[UUID]) -> None:
    absent = uuid4()
    assert reasons(page(api, jobs[0], absent)) == [f"There is no job {absent}."]


def test_the_same_texts_under_the_same_options_have_no_remark(api: httpx.Client, jobs: list[UUID]) -> None:
    assert remarks(page(api, *jobs)) == []


@pytest.mark.parametrize("limit", [0, comparability.COMPARED_BYTES])
def test_other_texts_are_remarked(
    api: httpx.Client, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Of the same number and size, so that only their contents differ."""
    monkeypatch.setattr(comparability, "COMPARED_BYTES", limit)
    jobs = [finished_job(sessions, [("cpp", text), ("cpp", "b")]).id for text in "ac"]
    (remark,) = remarks(page(api, *jobs, scope="all"))
    assert remark.startswith("The jobs have different texts") == bool(limit)
    assert ("was not checked" in remark) == (not limit)


def test_everything_else_that_differs_is_remarked(
    api: httpx.Client, sessions: Sessions, jobs: list[UUID]
) -> None:
    other, _ = lognormal_job(sessions, {"a": 9, "b": 8}, failing=(1,), window=64, max_tokens=100)
    facts = MEASURED_WITH | {"revision": "r2", "massive_factor": 4.0, "versions": {"layerscope": "0.2"}}
    change(sessions, other, measured_with=facts, estimators={"mean_ci": "another"})
    found = remarks(page(api, jobs[0], other, metric="delta_rms"))
    starts = (
        "The jobs have different models.",
        "delta_rms is a size of activations",
        "The jobs have different values of the option max_tokens: A none, B 100.",
        "The jobs have different values of the option window: A none, B 64.",
        "Massive tokens have different definitions, as factors of the median norm: A none, B 4.0.",
        "The intervals were computed by different methods",
        "Different versions of Layerscope measured the jobs: A none, B 0.2.",
        "The jobs have different texts",
        "The numbers of measured texts are different: A 17, B 16.",
    )
    assert len(found) == len(starts)
    for remark, start in zip(found, starts, strict=True):
        assert remark.startswith(start)


def test_the_csv_file_has_all_numbers_of_the_selection(api: httpx.Client, jobs: list[UUID]) -> None:
    text = page(api, *jobs, domain=["b", "*"], metric="delta_rms")
    (link,) = re.findall(r'href="(/compare\.csv\?[^"]*)" download', text)
    answer = api.get(html.unescape(link))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="compare.csv"'
    found = list(csv.DictReader(answer.text.splitlines()))
    assert len(found) == 2 * 2 * 3
    for row in found:
        (expected,) = rows(
            api, UUID(row["job"]), **{name: row[name] for name in ("domain", "scope", "component", "layer")}
        )
        assert {name: row[name] for name in expected if name in row} == {
            name: value for name, value in expected.items() if name in row
        }
        assert float(row["depth"]) == int(row["layer"]) / 2


def test_the_addresses_keep_the_selection(api: httpx.Client, jobs: list[UUID]) -> None:
    text = page(api, *jobs, domain="a", scope="rest", axis="depth")
    (link,) = re.findall(r'href="(/compare\.csv\?[^"]*)" download', text)
    query = parse_qs(urlsplit(html.unescape(link)).query)
    assert query["job"] == [str(job) for job in jobs]
    assert (query["domain"], query["scope"], query["axis"]) == (["a"], ["rest"], ["depth"])


def test_without_two_jobs_it_offers_the_newest_ones(
    api: httpx.Client, sessions: Sessions, jobs: list[UUID]
) -> None:
    submit(sessions, [("a", "x")])
    boxes = [a["value"] for a in read(api, "/compare").all("input")]
    assert boxes == [str(job) for job in reversed(jobs)]
    one = read(api, f"/compare?job={jobs[0]}")
    assert [(a.get("type"), a["value"]) for a in one.all("input")] == [
        ("hidden", str(jobs[0])),
        ("checkbox", str(jobs[1])),
    ]


def test_hostile_names_are_shown_as_text(api: httpx.Client, sessions: Sessions) -> None:
    jobs = [finished_job(sessions, name=HOSTILE).id for _ in range(2)]
    text = read(api, f"/compare?job={jobs[0]}&job={jobs[1]}&scope=all").text
    assert text.count(HOSTILE) == 2
    assert HOSTILE not in page(api, *jobs, scope="all")


@pytest.mark.parametrize("query", ["metric=x", "axis=x", "job=x", "sort=x"])
def test_an_unknown_selection_is_refused(api: httpx.Client, database_url: str, query: str) -> None:
    assert api.get(f"/compare?{query}").status_code == 422
    assert api.get(f"/compare.csv?{query}").status_code == 422


def test_the_number_of_jobs_is_limited(api: httpx.Client, database_url: str) -> None:
    for path in ("/compare", "/compare.csv"):
        answer = api.get(path, params={"job": [str(uuid4()) for _ in range(MOST_JOBS + 1)]})
        assert (answer.status_code, f"Select at most {MOST_JOBS}." in answer.text) == (422, True)


def test_the_numbers_of_a_job_that_does_not_exist_are_not_an_empty_file(
    api: httpx.Client, database_url: str
) -> None:
    assert api.get("/compare.csv", params={"job": str(uuid4())}).status_code == 404


def test_lines_that_are_not_drawn_are_counted(
    api: httpx.Client, jobs: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared_jobs, "MOST_LINES", 3)
    text = page(api, *jobs, domain=["a", "b"])
    assert len(chart_of(text)["series"]) == 3
    assert "Not drawn: 1 more, which are in compare.csv. Select fewer domains." in text
