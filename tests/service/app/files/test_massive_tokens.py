"""The massive tokens of a job, from a model to the files over HTTP."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from layerscope.core import Model, load_model, profile_texts
from layerscope.names import MASSIVE_TOKENS_COLUMNS
from tests.support.http.over_http import path, rows_of
from tests.support.jobs.measured_job import measured_job
from tests.support.models.tiny import BOS, add_known_activations, causal_model, save

Sessions = sessionmaker[Session]
TEXTS = [("a", "first text"), ("b", f"has{BOS}two{BOS}more"), ("a", f"has{BOS}one"), ("a", "yy")]


def model_with_massive_bos(folder: Path) -> Model:
    """Layer 1 adds 300 to a unit of each BOS token, and layer 3 subtracts it."""
    causal = causal_model()
    add_known_activations(causal, written=1, removed=3, values={5: 300.0})
    return load_model(save(causal, folder))


def test_the_files_describe_the_planted_tokens(
    api: httpx.Client, sessions: Sessions, redis: Redis, tmp_path: Path
) -> None:
    model = model_with_massive_bos(tmp_path)
    job_id = measured_job(model, sessions, redis, TEXTS, special_tokens="parse")
    profiles = list(profile_texts(model, [text for _, text in TEXTS], special_tokens="parse"))
    counts = {"a": [1, 2, 1], "b": [3]}
    assert [len(profile.massive) for profile in profiles] == [1, 3, 2, 1]
    rows = rows_of(api.get(path(job_id, "massive_tokens.csv")))
    assert list(rows[0]) == list(MASSIVE_TOKENS_COLUMNS)
    places = [(row["domain"], int(row["layer"])) for row in rows]
    assert places == [(domain, layer) for domain in "*ab" for layer in range(model.layers)]
    for row in rows:
        domains = "ab" if row["domain"] == "*" else row["domain"]
        of_texts = [
            profile for profile, (domain, _) in zip(profiles, TEXTS, strict=True) if domain in domains
        ]
        tokens, massive = sum(p.tokens for p in of_texts), sum(sum(counts[domain]) for domain in domains)
        assert (int(row["texts"]), int(row["tokens"])) == (len(of_texts), tokens)
        assert (int(row["massive"]), int(row["massive_first"])) == (massive, len(of_texts))
        assert float(row["massive_share"]) == massive / tokens
        norms = np.sum([p.square_norms[:, int(row["layer"])] for p in of_texts], axis=0)
        assert float(row["norm_share"]) == pytest.approx(norms[1] / norms[0], rel=1e-12)
        assert (float(row["norm_share"]) > 0.9) == (int(row["layer"]) in (2, 3))

    document = api.get(f"/v1/jobs/{job_id}/massive_tokens.json").json()
    assert [{name: str(value) for name, value in row.items()} for row in document["layers"]] == rows
    assert document["tokens"] == {
        "*": [{"token": BOS, "massive": 7, "texts": 4}],
        "a": [{"token": BOS, "massive": 4, "texts": 3}],
        "b": [{"token": BOS, "massive": 3, "texts": 1}],
    }
    per_text = {row["ordinal"]: row["massive_tokens"] for row in rows_of(api.get(path(job_id, "texts.csv")))}
    assert per_text == {"0": "1", "1": "3", "2": "2", "3": "1"}
    results = rows_of(api.get(path(job_id, "results.csv")))
    typical = next(row for row in results if (row["domain"], row["scope"]) == ("b", "typical"))
    assert int(typical["tokens"]) == profiles[1].tokens - 3
