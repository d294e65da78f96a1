"""The charts of the job page contain the numbers of the files, of what the address selects."""

import csv
import gzip
import html
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from redis import Redis
from sqlalchemy import insert
from sqlalchemy.orm import Session, sessionmaker

from app.tables import comparison
from layerscope.names import COMPARISON_COLUMNS, COMPARISON_COUNTS, COMPARISON_KEY
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.lognormal_job import lognormal_job
from tests.support.jobs.one_token_job import one_token_job

Sessions = sessionmaker[Session]
Row = dict[str, str]
CHART = re.compile(
    r'<section class="card chart" id="chart-(\w+)".*?<script type="application/json">(.*?)</script>',
    re.DOTALL,
)
MOST_BYTES = 60_000


@pytest.fixture
def job(api: httpx.Client, sessions: Sessions) -> str:
    """The path of a job with several domains and all files."""
    job_id, _ = lognormal_job(sessions, {"b": 9, "a": 8, "c": 10})
    return f"/v1/jobs/{job_id}"


def charts(api: httpx.Client, job: str, **query: Any) -> dict[str, dict[str, Any]]:
    page = api.get(job.removeprefix("/v1"), params=query)
    assert page.status_code == 200, page.text
    return {name: json.loads(html.unescape(data)) for name, data in CHART.findall(page.text)}


def rows(api: httpx.Client, job: str, file: str, **only: str) -> list[Row]:
    answer = api.get(f"{job}/{file}")
    assert answer.status_code == 200
    found = csv.DictReader(answer.text.splitlines())
    return [row for row in found if all(row[name] == value for name, value in only.items())]


def numbers(rows: list[Row], column: str) -> list[Any]:
    return [pytest.approx(float(row[column]), rel=5e-4) if row[column] else None for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "relative_norm", "scope": "typical", "component": "block"},
        {"metric": "cosine", "scope": "rest", "component": "mlp"},
    ],
)
def test_the_profile_has_the_numbers_of_results_csv(
    api: httpx.Client, job: str, query: dict[str, str]
) -> None:
    profile = charts(api, job, **query)["profile"]
    metric = query["metric"]
    for series in profile["series"]:
        of_domain = rows(
            api,
            job,
            "results.csv",
            domain=series["name"],
            scope=query["scope"],
            component=query["component"],
        )
        assert profile["layers"] == [int(row["layer"]) for row in of_domain]
        assert series["values"] == numbers(of_domain, metric)
        assert series["low"] == numbers(of_domain, f"{metric}_ci_low")
        assert series["high"] == numbers(of_domain, f"{metric}_ci_high")


def test_without_a_selection_it_is_relative_norm_on_typical_tokens(api: httpx.Client, job: str) -> None:
    selected = charts(api, job, metric="relative_norm", scope="typical", component="block")
    assert charts(api, job) == selected


def test_the_differences_are_those_of_comparison_csv(api: httpx.Client, job: str) -> None:
    chart = charts(api, job)["effect"]
    assert [series["name"] for series in chart["series"]] == ["a − b", "a − c", "b − c"]
    for series in chart["series"]:
        a, b = series["name"].split(" − ")
        of_pair = rows(
            api,
            job,
            "comparison.csv",
            metric="relative_norm",
            scope="typical",
            component="block",
            domain_a=a,
            domain_b=b,
        )
        assert series["values"] == numbers(of_pair, "hedges_g")
        assert series["muted"] == [not float(row["q_value"]) < 0.05 for row in of_pair]
        assert series["texts"] == f"{of_pair[0]['texts_a']} and {of_pair[0]['texts_b']}"


def test_the_shares_of_massive_tokens_are_those_of_their_file(api: httpx.Client, job: str) -> None:
    for series in charts(api, job)["massive"]["series"]:
        of_domain = rows(api, job, "massive_tokens.csv", domain=series["name"])
        assert series["values"] == numbers(of_domain, "norm_share")


def test_domains_and_layers_are_selected_and_domains_keep_the_submitted_order(
    api: httpx.Client, job: str
) -> None:
    assert [series["name"] for series in charts(api, job)["profile"]["series"]] == ["b", "a", "c"]
    selected = charts(api, job, domain=["c", "b"], first=1, last=1)
    assert [series["name"] for series in selected["profile"]["series"]] == ["b", "c"]
    layers = {tuple(chart["layers"]) for chart in selected.values() if "layers" in chart}
    assert layers == {(1,)}
    assert [series["name"] for series in selected["effect"]["series"]] == ["b − c"]


def test_one_domain_has_no_map_and_no_differences(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 3})
    assert list(charts(api, f"/v1/jobs/{job_id}")) == ["profile", "components", "massive"]


def test_an_unknown_selection_is_refused(api: httpx.Client, job: str) -> None:
    page = api.get(job.removeprefix("/v1"), params={"metrik": "cosine"})
    assert (page.status_code, page.json()["errors"][0]["pointer"]) == (422, "?metrik")


def test_the_page_says_what_the_numbers_say(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 40, "b": 40})
    pair = {"metric": "relative_norm", "scope": "typical", "component": "block", "domain_a": "a"}
    compared = rows(api, f"/v1/jobs/{job_id}", "comparison.csv", **pair)
    different = [row for row in compared if float(row["q_value"]) < 0.05]
    page = html.unescape(api.get(f"/jobs/{job_id}").text)
    assert different
    assert f"a and b differ at {len(different)} of {len(compared)} layers" in page


def test_the_page_of_a_job_with_many_layers_and_domains_is_small(
    api: httpx.Client, sessions: Sessions
) -> None:
    domains, layers = [f"domain-{i:02}" for i in range(16)], 80
    finished = finished_job(sessions, [(name, "a") for name in domains for _ in range(2)], layers=layers)
    random = np.random.default_rng(0)
    key = {"job_id": finished.id, "metric": "relative_norm", "scope": "typical", "component": "block"}
    names = [name for name in COMPARISON_COLUMNS if name not in (*COMPARISON_KEY, *COMPARISON_COUNTS)]
    compared = [
        {
            **key,
            **{"layer": layer, "domain_a": a, "domain_b": b, "texts_a": 2, "texts_b": 2},
            **dict(zip(names, map(float, random.normal(size=len(names))), strict=True)),
        }
        for a, b in combinations(domains, 2)
        for layer in range(layers)
    ]
    with sessions.begin() as session:
        session.execute(insert(comparison), compared)
    page = api.get(f"/jobs/{finished.id}")
    assert len(charts(api, f"/v1/jobs/{finished.id}")["effect"]["series"]) == 120
    size = len(gzip.compress(page.content))
    assert size < MOST_BYTES, size


def test_one_text_in_each_domain_gives_no_chart_of_differences(api: httpx.Client, sessions: Sessions) -> None:
    alone, known = (lognormal_job(sessions, dict.fromkeys("ab", count))[0] for count in (1, 8))
    assert 'id="chart-effect"' not in api.get(f"/jobs/{alone}").text
    assert 'id="chart-effect"' in api.get(f"/jobs/{known}").text


def test_a_chart_of_the_same_numbers_links_to_their_table(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 2, "b": 2})
    page = api.get(f"/jobs/{job_id}").text
    heat_map = page[page.index('id="chart-heatmap"') :].partition("</section>")[0]
    assert '<a href="#chart-profile">Table of the same numbers</a>' in heat_map


def test_charts_without_a_value_are_left_out(
    api: httpx.Client, sessions: Sessions, redis: Redis, tmp_path: Path
) -> None:
    """Texts of one token have no typical tokens, and skipping a layer costs them nothing that is known."""
    job = f"/v1/jobs/{one_token_job(sessions, redis, tmp_path)}"
    found = charts(api, job, scope="all")
    assert list(found) == ["profile", "heatmap", "components", "effect", "ablation", "importance", "massive"]
    assert [series["values"][0] is None for series in found["ablation"]["series"]] == [True, True, False]
    assert None not in found["importance"]["series"][1]["values"]
    assert "skipping them costs: text<" in api.get(job.removeprefix("/v1"), params={"scope": "all"}).text
    assert "ablation" not in charts(api, job, scope="all", domain=["one", "single"])
    assert list(charts(api, job, scope="typical", domain=["one", "single"])) == ["massive"]
    page = api.get(job.removeprefix("/v1"), params={"scope": "typical", "domain": ["one"], "last": 1}).text
    assert "No selected domain has a value of relative_norm in scope typical in these layers." in page


def test_a_selection_without_charts_can_be_changed(api: httpx.Client, job: str) -> None:
    page = api.get(job.removeprefix("/v1"), params={"first": 2, "last": 1}).text
    assert not CHART.findall(page)
    assert 'id="selection"' in page
    assert 'id="charts"' in page
