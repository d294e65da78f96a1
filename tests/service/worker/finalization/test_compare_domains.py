"""A job's domains against each other: from rows in the database to files over HTTP."""

import time
from itertools import product
from uuid import UUID

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from statsmodels.stats.multitest import multipletests

from app.tables import Job, comparison, layer_profile
from layerscope.names import COMPONENTS, METRICS, RANKED_METRICS, SCOPES
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.lognormal_job import LAYERS, lognormal_job
from tests.support.programs.processes import RunningStack
from worker.finalization import compared_texts
from worker.finalization.stored_texts import texts_by_domain

Array = NDArray[np.float64]
Sessions = sessionmaker[Session]
COLUMNS = (
    "metric,scope,component,layer,domain_a,domain_b,texts_a,texts_b,mean_a,mean_b,difference,ci_low,ci_high,"
    "hedges_g,g_ci_low,g_ci_high,p_value,p_holm,q_value,"
    "adjusted_difference,adjusted_ci_low,adjusted_ci_high,adjusted_p_value"
)


def compared(api: httpx.Client, job_id: UUID) -> list[dict[str, str]]:
    answer = api.get(path(job_id, "comparison.csv"))
    assert answer.text.split("\r\n")[0] == COLUMNS
    return rows_of(answer)


def test_a_row_for_each_metric_place_and_pair_in_order(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"c": 4, "a": 5, "b": 6})
    keys = [
        (row["metric"], row["scope"], row["component"], int(row["layer"]), row["domain_a"], row["domain_b"])
        for row in compared(api, job_id)
    ]
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    assert keys == [
        (*place, *pair) for place in product(METRICS, SCOPES, COMPONENTS, range(LAYERS)) for pair in pairs
    ]


def test_every_difference_is_scipys_welch_test(api: httpx.Client, sessions: Sessions) -> None:
    job_id, values = lognormal_job(sessions, {"a": 9, "b": 12}, failing=(3,))
    for row in compared(api, job_id):
        c, s = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"])
        at = (c, s, int(row["layer"]), METRICS.index(row["metric"]))
        a, b = (np.array([array[at] for array in values[domain].values()]) for domain in ("a", "b"))
        a = a[~np.isnan(a)]
        assert (int(row["texts_a"]), int(row["texts_b"])) == (len(a), len(b))
        assert len(a) == (7 if row["scope"] in ("rest", "typical") else 8)
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert float(row["p_value"]) == pytest.approx(expected.pvalue, rel=1e-9)
        assert float(row["ci_low"]) == pytest.approx(expected.confidence_interval().low, rel=1e-9)
        assert float(row["difference"]) == pytest.approx(a.mean() - b.mean(), rel=1e-9)
        assert float(row["g_ci_low"]) < float(row["hedges_g"]) < float(row["g_ci_high"])
        assert float(row["adjusted_ci_low"]) < float(row["adjusted_ci_high"])


@pytest.mark.usefixtures("no_garbage")
def test_p_values_are_corrected_over_layers_and_pairs(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 5, "b": 5, "c": 5})
    rows = compared(api, job_id)
    for metric, scope, component in product(METRICS, SCOPES, COMPONENTS):
        family = [r for r in rows if (r["metric"], r["scope"], r["component"]) == (metric, scope, component)]
        assert len(family) == 3 * LAYERS
        p_values = [float(row["p_value"]) for row in family]
        for column, method in (("p_holm", "holm"), ("q_value", "fdr_bh")):
            corrected = multipletests(p_values, method=method)[1]
            np.testing.assert_allclose([float(row[column]) for row in family], corrected, rtol=1e-12)


def test_a_paired_job_compares_texts_at_the_same_place(api: httpx.Client, sessions: Sessions) -> None:
    job_id, values = lognormal_job(sessions, {"a": 8, "b": 8}, failing=(2, 13), paired=True)
    for row in compared(api, job_id):
        c, s = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"])
        at = (c, s, int(row["layer"]), METRICS.index(row["metric"]))
        places = [
            k for k in range(8) if k not in (2, 5) and not (k == 0 and row["scope"] in ("rest", "typical"))
        ]
        a, b = (np.array([values[domain][k][at] for k in places]) for domain in ("a", "b"))
        expected = stats.ttest_rel(a, b)
        assert int(row["texts_a"]) == int(row["texts_b"]) == len(places)
        assert float(row["p_value"]) == pytest.approx(expected.pvalue, rel=1e-9)
        assert float(row["ci_high"]) == pytest.approx(expected.confidence_interval().high, rel=1e-9)


def test_json_has_the_same_rows_the_estimators_and_the_ranks(api: httpx.Client, sessions: Sessions) -> None:
    job_id, values = lognormal_job(sessions, {"a": 9, "b": 12})
    found = api.get(f"/v1/jobs/{job_id}/comparison.json").json()
    assert list(found) == ["job", "estimators", "comparisons", "ranks"]
    assert found["job"] == api.get(f"/v1/jobs/{job_id}").json()
    assert "BCa" in found["estimators"]["mean_ci"]
    for ours, theirs in zip(found["comparisons"], compared(api, job_id), strict=True):
        assert {name: "" if value is None else str(value) for name, value in ours.items()} == theirs
    assert len(found["ranks"]) == 3 * len(SCOPES) * len(COMPONENTS) * LAYERS
    for row in found["ranks"]:
        domains = values if row["domain"] == "*" else {row["domain"]: values[row["domain"]]}
        c, s = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"])
        for metric in RANKED_METRICS:
            of_layers = np.array(
                [array[c, s, :, METRICS.index(metric)] for d in domains.values() for array in d.values()]
            )
            means = np.nanmean(of_layers, 0)
            assert row[f"{metric}_rank"] == stats.rankdata(-means)[row["layer"]]
            assert row[f"{metric}_rank_ci_low"] <= row[f"{metric}_rank"] <= row[f"{metric}_rank_ci_high"]
            deviation = np.nanstd(of_layers[:, row["layer"]], ddof=1)
            assert row[f"{metric}_cv"] == pytest.approx(deviation / means[row["layer"]], rel=1e-9)


def test_few_texts_have_resampled_intervals_and_fewer_students(sessions: Sessions) -> None:
    job_id, values = lognormal_job(sessions, {"a": 20, "b": 7})
    with sessions() as session:
        rows = session.execute(select(layer_profile).where(layer_profile.c.job_id == job_id)).mappings().all()
    students = {"a": 0, "b": 0}
    for row in (row for row in rows if row["domain"] != "*"):
        c, s = COMPONENTS.index(row["component"]), SCOPES.index(row["scope"])
        of_layer = [array[c, s, row["layer"]] for array in values[row["domain"]].values()]
        for m, metric in enumerate(METRICS):
            sample = np.array([text[m] for text in of_layer if not np.isnan(text[m])])
            half = stats.t.ppf(0.975, len(sample) - 1) * stats.sem(sample)
            low, high = row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]
            is_students = low == pytest.approx(sample.mean() - half, rel=1e-9)
            students[row["domain"]] += is_students
            assert low < sample.mean() < high
    assert students == {"a": 0, "b": len(SCOPES) * len(COMPONENTS) * LAYERS * len(METRICS)}


def test_the_same_texts_give_the_same_numbers_again(sessions: Sessions) -> None:
    found = []
    for _ in range(2):
        job_id, _ = lognormal_job(sessions, {"a": 20, "b": 9, "c": 3})
        with sessions() as session:
            layers = session.execute(select(layer_profile).where(layer_profile.c.job_id == job_id)).all()
            pairs = session.execute(select(comparison).where(comparison.c.job_id == job_id)).all()
        found.append(({row[1:] for row in layers}, {row[1:] for row in pairs}))
    assert found[0] == found[1]


@pytest.mark.parametrize("domains", [{"a": 6}, {"a": 1, "b": 1}])
def test_what_can_not_be_compared_has_no_value(
    api: httpx.Client, sessions: Sessions, domains: dict[str, int]
) -> None:
    job_id, _ = lognormal_job(sessions, domains)
    rows = compared(api, job_id)
    assert len(rows) == (0 if len(domains) == 1 else len(METRICS) * len(SCOPES) * len(COMPONENTS) * LAYERS)
    assert all(row["p_value"] == row["ci_low"] == row["adjusted_p_value"] == "" for row in rows)
    assert api.get(f"/v1/jobs/{job_id}/comparison.json").status_code == 200


def test_a_domain_of_which_nothing_was_measured_is_not_compared(
    api: httpx.Client, sessions: Sessions
) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 3, "b": 2, "c": 3}, failing=(3, 4))
    assert {(row["domain_a"], row["domain_b"]) for row in compared(api, job_id)} == {("a", "c")}


def test_a_large_domain_is_represented_by_evenly_spaced_texts(sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 30, "b": 10}, failing=(7,))
    with sessions() as session:
        texts = texts_by_domain(session, session.get_one(Job, job_id))
    whole = compared_texts.spaced(texts, most=30, together=False)
    some = compared_texts.spaced(texts, most=10, together=False)
    assert (len(whole["a"].ordinals), len(whole["b"].ordinals)) == (29, 10)
    assert some["a"].places.tolist() == list(range(0, 30, 3))
    assert some["b"].places.tolist() == list(range(10))
    assert some["b"].ordinals.tolist() == list(range(30, 40))


def test_what_is_held_is_bounded(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared_texts, "HELD_BYTES", 2 * 6 * 8 * LAYERS * len(METRICS))
    job_id, _ = lognormal_job(sessions, {"a": 30, "b": 9})
    with sessions() as session:
        rows = session.execute(select(comparison).where(comparison.c.job_id == job_id)).all()
    assert {(row.texts_a, row.texts_b) for row in rows if row.scope == "all"} == {(30, 9)}


def test_from_a_request_to_a_comparison(stack: RunningStack) -> None:
    texts = {
        "cpp": [f"int f{i}() {{ return {i} * {'x' * i}; }}" for i in range(12)],
        "python": [f"def f{i}():\n    return {'y' * 3 * i}" for i in range(12)],
    }
    with httpx.Client(base_url=stack.base_url, timeout=60) as client:
        job = client.post("/v1/jobs", json={"model": "demo", "texts": texts}).raise_for_status().json()
        give_up = time.monotonic() + 60
        while client.get(f"/v1/jobs/{job['id']}?wait=30").json()["finished_at"] is None:
            assert time.monotonic() < give_up
        rows = compared(client, UUID(job["id"]))
        assert {row["domain_a"] + row["domain_b"] for row in rows} == {"cpppython"}
        assert any(row["adjusted_p_value"] for row in rows)
        head = client.head(f"/v1/jobs/{job['id']}/comparison.csv")
        assert head.headers["ETag"]
