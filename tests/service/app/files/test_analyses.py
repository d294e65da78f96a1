"""The additional columns and rows of analyses, from the database to the files over HTTP."""

import io
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from app.files import parquet
from app.files.first_token import first_token_rows
from app.files.results import layer_rows
from app.files.texts import texts_csv
from app.jobs import shards
from app.jobs.shards import TextResult
from app.tables import Job, layer_profile
from layerscope.names import (
    ANALYSIS_METRICS,
    COMPONENTS,
    METRICS,
    RESULTS_COLUMNS,
    SCOPES,
    STATISTICS,
    TEXTS_COLUMNS,
    TOP_ACTIVATIONS,
)
from layerscope.values import ANALYSIS_NUMBERS
from tests.support.databases.counting import statements
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.jobs_by_hand import LAYERS, MODEL, must_claim, submit
from worker.finalization.finalize import finalize_jobs

Array = NDArray[np.float64]
Sessions = sessionmaker[Session]
SHAPE = (len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS))
WHOLE = ["ablation", "logit_lens"]


def analysis_of(ordinal: int) -> Array:
    """(L, ANALYSIS_NUMBERS): metrics, four of nine units with falling values, tokens, ratio."""
    rng = np.random.default_rng(1_000 + ordinal)
    analysis = np.empty((LAYERS, ANALYSIS_NUMBERS))
    analysis[:, : len(ANALYSIS_METRICS)] = rng.lognormal(size=(LAYERS, len(ANALYSIS_METRICS)))
    if ordinal == 0:  # a text of one token predicts nothing
        analysis[:, :2] = np.nan
    for layer in range(LAYERS):
        sizes = np.sort(rng.lognormal(3, size=TOP_ACTIVATIONS))[::-1]
        top = (
            rng.permutation(9)[:TOP_ACTIVATIONS],
            sizes * rng.choice([-1, 1], TOP_ACTIVATIONS),
            rng.integers(0, 3, TOP_ACTIVATIONS),
        )
        analysis[layer, len(ANALYSIS_METRICS) :] = [*np.concatenate(top), sizes[0] / (1 + layer)]
    return analysis


def analysed_job(
    sessions: Sessions, domains: dict[str, int], analyses: list[str] = WHOLE, left_out: tuple[int, ...] = ()
) -> tuple[UUID, dict[str, dict[int, Array]]]:
    """A finished job, and the analyses of each domain's texts by ordinal."""
    texts = [(domain, "x") for domain, count in domains.items() for _ in range(count)]
    job_id = submit(sessions, texts, texts_per_shard=len(texts), analyses=analyses, analysis_texts=64)
    claimed = must_claim(sessions)
    found: dict[str, dict[int, Array]] = {domain: {} for domain in domains}
    measured = []
    for ordinal, (domain, _) in enumerate(texts):
        values = np.random.default_rng(ordinal).lognormal(size=SHAPE).astype("<f8").tobytes()
        analysis = None
        if ordinal not in left_out:
            found[domain][ordinal] = analysis_of(ordinal)
            analysis = found[domain][ordinal].astype("<f8").tobytes()
        measured.append(TextResult(ordinal, domain, 10 + ordinal, False, None, values, analysis))
    with sessions.begin() as session:
        shards.commit(session, claimed, measured)
    finalize_jobs(sessions, MODEL)
    return job_id, found


def of_domain(found: dict[str, dict[int, Array]], domain: str) -> Array:
    texts = {o: a for d, of in found.items() if domain in ("*", d) for o, a in of.items()}
    return np.stack([texts[ordinal] for ordinal in sorted(texts)])


@pytest.mark.parametrize(
    ("analyses", "metrics"),
    [
        ([], ()),
        (["activations"], ()),
        (["ablation"], ANALYSIS_METRICS[:2]),
        (["logit_lens"], ANALYSIS_METRICS[2:]),
        (WHOLE, ANALYSIS_METRICS),
    ],
    ids=lambda value: "+".join(value),
)
def test_the_requested_columns_follow_the_usual_columns(
    api: httpx.Client, sessions: Sessions, analyses: list[str], metrics: tuple[str, ...]
) -> None:
    job_id, _ = analysed_job(sessions, {"a": 3, "b": 2}, analyses)
    statistics = [metric + suffix for metric in metrics for suffix in STATISTICS]
    further = ["analysis_texts", *statistics] if metrics else []
    assert list(rows_of(api.get(path(job_id, "results.csv")))[0]) == [*RESULTS_COLUMNS, *further]
    assert list(rows_of(api.get(path(job_id, "texts.csv")))[0]) == [
        *TEXTS_COLUMNS,
        *metrics,
        "massive_tokens",
    ]
    compared = {row["metric"] for row in rows_of(api.get(path(job_id, "comparison.csv")))}
    assert compared == {*METRICS, *metrics}


def test_the_analysis_of_a_text_is_in_its_rows(api: httpx.Client, sessions: Sessions) -> None:
    job_id, found = analysed_job(sessions, {"a": 3}, left_out=(1,))
    rows = rows_of(api.get(path(job_id, "texts.csv")))
    for row in rows:
        there = (row["scope"], row["component"]) == ("all", "block") and row["ordinal"] != "1"
        for m, metric in enumerate(ANALYSIS_METRICS):
            value = found["a"][int(row["ordinal"])][int(row["layer"]), m] if there else np.nan
            assert row[metric] == ("" if np.isnan(value) else repr(float(value)))
    lines = api.get(f"/v1/jobs/{job_id}/texts.ndjson").text.splitlines()
    assert len(lines) == len(rows)


@pytest.mark.parametrize("name", ["results", "texts", "comparison"])
def test_parquet_has_the_same(api: httpx.Client, sessions: Sessions, name: str) -> None:
    job_id, _ = analysed_job(sessions, {"a": 3, "b": 4}, left_out=(1,))
    file = api.get(f"/v1/jobs/{job_id}/{name}.parquet").content
    rows = pq.read_table(io.BytesIO(file)).to_pylist()
    for ours, theirs in zip(rows, rows_of(api.get(path(job_id, f"{name}.csv"))), strict=True):
        shown = {column: "" if value is None else str(value) for column, value in ours.items()}
        assert shown == theirs | {"truncated": "False"} if name == "texts" else shown == theirs


def test_layers_have_the_statistics_of_the_analysed_texts(sessions: Sessions) -> None:
    job_id, found = analysed_job(sessions, {"a": 60, "b": 5}, left_out=(7,))
    with sessions() as session:
        rows = list(layer_rows(session, session.get_one(Job, job_id)))
    for row in rows:
        if (row["scope"], row["component"]) != ("all", "block"):
            assert row["analysis_texts"] is row["ablation_nll"] is row["lens_kl_ci_low"] is None
            continue
        values = of_domain(found, row["domain"])[:, row["layer"]]
        assert row["analysis_texts"] == len(values) == {"*": 64, "a": 59, "b": 5}[row["domain"]]
        for m, metric in enumerate(ANALYSIS_METRICS):
            sample = values[:, m][~np.isnan(values[:, m])]
            assert row[metric] == pytest.approx(sample.mean(), rel=1e-12)
            assert row[f"{metric}_var"] == pytest.approx(sample.var(ddof=1), rel=1e-9)
            half = stats.t.ppf(0.975, len(sample) - 1) * stats.sem(sample)
            assert row[f"{metric}_ci_high"] == pytest.approx(sample.mean() + half, rel=1e-9)


def test_domains_are_compared_by_welchs_test_of_scipy(api: httpx.Client, sessions: Sessions) -> None:
    job_id, found = analysed_job(sessions, {"a": 12, "b": 9, "c": 3}, left_out=(4, 21, 22, 23))
    rows = [
        row for row in rows_of(api.get(path(job_id, "comparison.csv"))) if row["metric"] in ANALYSIS_METRICS
    ]
    assert len(rows) == 3 * LAYERS * len(ANALYSIS_METRICS)
    assert {(row["scope"], row["component"]) for row in rows} == {("all", "block")}
    for row in rows:
        m, layer = ANALYSIS_METRICS.index(row["metric"]), int(row["layer"])
        if row["domain_b"] == "c":
            assert (row["texts_b"], row["p_value"]) == ("0", "")
            continue
        a, b = (of_domain(found, domain)[:, layer, m] for domain in ("a", "b"))
        a = a[~np.isnan(a)]
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert (int(row["texts_a"]), int(row["texts_b"])) == (len(a), 9)
        assert float(row["p_value"]) == pytest.approx(expected.pvalue, rel=1e-9)
        assert float(row["ci_low"]) == pytest.approx(expected.confidence_interval().low, rel=1e-9)


def test_the_largest_activations_of_a_domain_are_those_of_its_texts(
    api: httpx.Client, sessions: Sessions
) -> None:
    job_id, found = analysed_job(sessions, {"a": 6, "b": 3}, ["activations"], left_out=(2,))
    rows = rows_of(api.get(path(job_id, "first_token.csv")))
    for row in rows:
        if row["component"] != "block":
            assert row["unit_1"] == row["analysis_texts"] == ""
            continue
        texts = of_domain(found, row["domain"])[:, int(row["layer"]), len(ANALYSIS_METRICS) :]
        assert int(row["analysis_texts"]) == len(texts)
        largest: dict[int, tuple[float, float, int, float]] = {}
        holding: dict[int, list[int]] = {}
        for text in texts:
            units, values, tokens = text[:-1].reshape(3, TOP_ACTIVATIONS)
            for unit, value, token in zip(units.astype(int), values, tokens.astype(int), strict=True):
                ratio = abs(value) * text[-1] / abs(values[0])
                largest[unit] = max(largest.get(unit, (0, 0, 0, 0)), (abs(value), value, token, ratio))
                holding.setdefault(unit, []).append(token)
        for place, unit in enumerate(
            sorted(largest, key=largest.__getitem__, reverse=True)[:TOP_ACTIVATIONS], 1
        ):
            _, value, token, ratio = largest[unit]
            assert (int(row[f"unit_{place}"]), float(row[f"value_{place}"])) == (unit, value)
            assert int(row[f"token_{place}"]) == token
            assert float(row[f"ratio_{place}"]) == pytest.approx(ratio, rel=1e-12)
            assert int(row[f"texts_{place}"]) == len(holding[unit])
            assert int(row[f"first_texts_{place}"]) == holding[unit].count(0)


def test_sql_finds_the_layer_that_matters_most(sessions: Sessions) -> None:
    job_id, found = analysed_job(sessions, {"a": 9})
    columns = layer_profile.c
    statement = (
        select(columns.layer)
        .where(columns.job_id == job_id, columns.domain == "*", columns.ablation_nll.is_not(None))
        .order_by(columns.ablation_nll.desc())
    )
    with sessions() as session:
        assert session.scalars(statement).first() == np.nanmean(of_domain(found, "a")[..., 0], 0).argmax()


def test_no_more_statements_for_more_texts(engine: Engine, sessions: Sessions) -> None:
    counts = []
    for texts in (3, 40):
        with statements(engine) as closing:
            job_id, _ = analysed_job(sessions, {"a": texts, "b": texts})
        with sessions() as session, statements(engine) as reading:
            job = session.get_one(Job, job_id)
            for rows in (layer_rows(session, job), first_token_rows(session, job)):
                assert list(rows)
            list(texts_csv(session, job))
            list(parquet.texts_parquet(session, job))
        counts.append((len(closing), len(reading)))
    assert counts[0] == counts[1]
    assert counts[0][1] == 5


def test_an_analysis_is_deleted_with_its_job(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = analysed_job(sessions, {"a": 2})
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204
    with sessions() as session:
        assert session.scalars(select(layer_profile.c.layer)).all() == []


def test_a_job_without_the_option_has_no_analyses(api: httpx.Client, sessions: Sessions) -> None:
    """Its options were stored before the option `analyses` existed."""
    texts: Any = [("a", "x")]
    job_id = submit(sessions, texts)
    claimed = must_claim(sessions)
    values = np.ones(SHAPE).astype("<f8").tobytes()
    with sessions.begin() as session:
        shards.commit(session, claimed, [TextResult(0, "a", 3, False, None, values)])
    finalize_jobs(sessions, MODEL)
    assert list(rows_of(api.get(path(job_id, "results.csv")))[0]) == list(RESULTS_COLUMNS)
    assert "unit_1" not in rows_of(api.get(path(job_id, "first_token.csv")))[0]
    assert api.get(f"/v1/jobs/{job_id}").json()["options"]["analyses"] == []
