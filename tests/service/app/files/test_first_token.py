"""The first-token report: from rows in the database to files over HTTP."""

import httpx
import numpy as np
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.files.first_token import first_token_rows
from app.tables import Job
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.lognormal_job import LAYERS, TOKENS, lognormal_job

Sessions = sessionmaker[Session]
ABSOLUTE = METRICS.index("delta_abs_mean")


def test_shares_are_those_of_all_texts_of_a_domain(api: httpx.Client, sessions: Sessions) -> None:
    job_id, values = lognormal_job(sessions, {"b": 9, "c": 4}, failing=(3,))
    rows = rows_of(api.get(path(job_id, "first_token.csv")))
    places = [(row["domain"], row["component"], int(row["layer"])) for row in rows]
    assert places == [(d, c, layer) for d in "*bc" for c in COMPONENTS for layer in range(LAYERS)]
    for row in rows:
        c, layer = COMPONENTS.index(row["component"]), int(row["layer"])
        domains = ("b", "c") if row["domain"] == "*" else (row["domain"],)
        texts = [(TOKENS[d] + 5 * place, array) for d in domains for place, array in values[d].items()]
        whole, first = (
            np.array([array[c, SCOPES.index(scope), layer, ABSOLUTE] for _, array in texts])
            for scope in ("all", "first")
        )
        part = first / [tokens for tokens, _ in texts]
        covariance = np.cov(part, whole)
        assert int(row["texts"]) == len(texts)
        assert float(row["mean_share"]) == pytest.approx(part.mean() / whole.mean(), rel=1e-9)
        assert float(row["variance_share"]) == pytest.approx(covariance[0, 1] / covariance[1, 1], rel=1e-9)


def test_json_contains_the_same_rows_and_describes_them(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 3, "b": 1})
    found = api.get(f"/v1/jobs/{job_id}/first_token.json").json()
    assert list(found) == ["job", "about", "layers", "provenance"]
    assert found["about"].startswith("Measured on this job's texts")
    for ours, theirs in zip(found["layers"], rows_of(api.get(path(job_id, "first_token.csv"))), strict=True):
        assert {name: "" if value is None else str(value) for name, value in ours.items()} == theirs
    alone = [row for row in found["layers"] if row["domain"] == "b"]
    assert all(row["variance_share"] is None and row["mean_share"] is not None for row in alone)


def test_a_job_without_measured_texts_has_no_rows(api: httpx.Client, sessions: Sessions) -> None:
    job_id, _ = lognormal_job(sessions, {"a": 2}, failing=(0, 1))
    assert rows_of(api.get(path(job_id, "first_token.csv"))) == []
    with sessions() as session:
        assert list(first_token_rows(session, session.get_one(Job, job_id))) == []
