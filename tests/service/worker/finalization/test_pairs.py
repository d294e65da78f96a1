"""Texts that belong together by a submitted pair: from lines over HTTP to the comparison of the pairs."""

import json
import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from scipy import stats
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards, store
from app.jobs.shard_plan import ShardPlan, ShardSize
from app.jobs.shards import TextResult
from app.jobs.store import Draft, PostedText
from app.tables import Job, Text, comparison
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.jobs_by_hand import LAYERS, MODEL, OPTIONS, must_claim
from tests.support.programs.processes import RunningStack
from worker.finalization import compared_texts
from worker.finalization.finalize import finalize_jobs
from worker.finalization.stored_texts import texts_by_domain

Sessions = sessionmaker[Session]
SHAPE = (len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS))
SIZE = ShardSize(characters=10**9, texts=10**6)


def lines(texts: Iterable[PostedText]) -> bytes:
    objects = (dict(zip(("domain", "text", "pair"), text, strict=False)) for text in texts)
    return b"".join(json.dumps(line).encode() + b"\n" for line in objects)


def post(api: httpx.Client, texts: Iterable[PostedText], **headers: str) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson", **headers}
    return api.post("/v1/jobs?model=demo", content=lines(texts), headers=headers)


def test_pairs_are_compared_by_their_ids_in_whatever_order(stack: RunningStack) -> None:
    texts: list[PostedText] = [("cpp", f"int f{i}() {{ return {i * i}; }}", f"f{i}") for i in range(10)]
    texts += [("python", f"def f{i}():\n    return {'1 + ' * i}{i}", f"f{i}") for i in (7, 2, 9, 4, 0, 5, 3)]
    texts += [("python", "x = 1", "of nobody"), ("python", "y = 2"), ("cpp", "int alone;")]
    with httpx.Client(base_url=stack.base_url, timeout=60) as api:
        job = post(api, texts).raise_for_status().json()
        assert job["options"]["paired"] is True
        give_up = time.monotonic() + 60
        while api.get(f"/v1/jobs/{job['id']}?wait=30").json()["finished_at"] is None:
            assert time.monotonic() < give_up
        values = {
            (texts[int(row["ordinal"])][::2], row["scope"], row["component"], row["layer"]): row
            for row in rows_of(api.get(path(job["id"], "texts.csv")))
        }
        rows = rows_of(api.get(path(job["id"], "comparison.csv")))
    assert {row["domain_a"] + row["domain_b"] for row in rows} == {"cpppython"}
    for row in rows:
        place = (row["scope"], row["component"], row["layer"])
        a, b = (
            np.array([float(values[(domain, f"f{i}"), *place][row["metric"]]) for i in (0, 2, 3, 4, 5, 7, 9)])
            for domain in ("cpp", "python")
        )
        assert (row["texts_a"], row["texts_b"]) == ("7", "7")
        assert float(row["mean_a"]) == pytest.approx(a.mean(), rel=1e-9)
        assert bool(row["p_value"]) == (row["scope"] != "first")  # the same token in every text
        if row["p_value"]:
            assert float(row["p_value"]) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-6)


def test_both_texts_of_a_selected_pair_are_kept(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared_texts, "HELD_BYTES", 2 * 6 * 8 * LAYERS * len(METRICS))
    texts: list[PostedText] = [("a", "x", f"{i:02}") for i in range(30)]
    texts += [("b", "x", f"{i:02}") for i in reversed(range(45))] + [("b", "x")] * 40
    values = finalized(sessions, texts)
    with sessions() as session:
        job = session.scalars(select(Job)).one()
        held = compared_texts.spaced(texts_by_domain(session, job), most=6, together=True)
        assert held["b"].places.tolist() == [38, 30, 23, 15, 8, 0]
        row = session.execute(
            select(comparison).where(comparison.c.scope == "all", comparison.c.metric == METRICS[0])
        ).first()
    assert row is not None
    at = (COMPONENTS.index(row.component), SCOPES.index("all"), row.layer, 0)
    a, b = (np.array([values[domain, f"{i:02}"][at] for i in (0, 8, 15, 23)]) for domain in ("a", "b"))
    assert (row.texts_a, row.texts_b) == (4, 4)
    assert row.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)


def finalized(sessions: Sessions, texts: list[PostedText]) -> dict[Any, Any]:
    """Measure and finalize a job; the values by domain and pair."""
    with sessions.begin() as session:
        store.submit(session, Draft(model=MODEL, options=OPTIONS), texts, SIZE)
    claimed = must_claim(sessions)
    arrays = [np.random.default_rng(i).lognormal(size=SHAPE) for i in range(len(texts))]
    measured = [
        TextResult(i, text[0], 9 + i, False, None, array.astype("<f8").tobytes())
        for i, (text, array) in enumerate(zip(texts, arrays, strict=True))
    ]
    with sessions.begin() as session:
        shards.commit(session, claimed, measured)
    finalize_jobs(sessions, MODEL)
    return {text[::2]: array for text, array in zip(texts, arrays, strict=True)}


def test_pairs_are_kept_and_make_a_job_paired(api: httpx.Client, sessions: Sessions) -> None:
    texts: list[PostedText] = [("a", "b", 64 * "𝄞"), ("a", "c"), ("b", "c", 64 * "𝄞")]
    assert post(api, texts).json()["options"]["paired"] is True
    with sessions() as session:
        pairs = session.scalars(select(Text.pair).order_by(Text.ordinal)).all()
    assert pairs == [64 * "𝄞", None, 64 * "𝄞"]
    assert post(api, [("a", "b")]).json()["options"]["paired"] is False


@pytest.mark.parametrize("pair", ["x", "a, b", ") (=1)", "two\nlines", "größer"])
def test_two_texts_of_a_pair_in_one_domain_are_refused(
    api: httpx.Client, sessions: Sessions, pair: str
) -> None:
    answer = post(api, [("a", "1", pair), ("b", "2", pair), ("c", "3", pair), ("b", "4", pair)])
    assert answer.status_code == 422
    detail = f"Two texts of the domain b have the pair {pair}. A domain must contain each pair only once."
    assert answer.json()["errors"] == [{"pointer": "", "detail": detail}]
    assert_nothing_kept(sessions)


def test_pairs_without_a_partner_anywhere_are_refused(api: httpx.Client, sessions: Sessions) -> None:
    answer = post(api, [("a", "1", "p"), ("b", "2", "q"), ("c", "3")])
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("No pair spans two domains")
    assert_nothing_kept(sessions)


def assert_nothing_kept(sessions: Sessions) -> None:
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0
        assert session.scalar(select(func.count()).select_from(Text)) == 0


def test_the_pairs_are_part_of_the_request_of_a_key(api: httpx.Client) -> None:
    texts: list[PostedText] = [("a", "b", "c"), ("d", "e", "c")]
    first = post(api, texts, **{"Idempotency-Key": "k"})
    again = post(api, texts, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert UUID(first.json()["id"]) == UUID(again.json()["id"])
    others: list[list[PostedText]] = [
        [("a", "b"), ("d", "e")],
        [("a", "b", "C"), ("d", "e")],
        [("a", "b"), ("d", "e", "c")],
        [("a", "b"), ("c", "d", "e")],  # the same strings in the same order
    ]
    for other in others:
        answer = post(api, other, **{"Idempotency-Key": "k"})
        assert answer.status_code == 422
        assert answer.json()["type"].endswith("idempotency-key-reused")


def test_what_has_no_pairs_keeps_the_fingerprint_it_always_had() -> None:
    plan = ShardPlan(["demo", None, {"window": 2}], SIZE)
    plan.add("a", "größer")
    whole = b'["demo", null, {"window": 2}]' + (1).to_bytes(8) + b"a" + (8).to_bytes(8) + "größer".encode()
    assert plan.request_sha256 == sha256(whole).digest()
