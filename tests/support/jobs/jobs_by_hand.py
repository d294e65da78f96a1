"""Submits jobs and measures their shards step by step, as the API and a worker do, without a model."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.shards import Claim, TextResult
from app.jobs.store import Draft, PostedText
from app.tables import LOCAL_OWNER
from layerscope.names import COMPONENTS, METRICS, SCOPES

MODEL = "demo"
LAYERS = 3
LEASE_SECONDS = 60.0
OPTIONS: dict[str, Any] = {"max_tokens": None, "overflow": "truncate", "components": list(COMPONENTS)}
MEASURED_WITH = {
    "source": "demo/model",
    "revision": "r1",
    "layers": LAYERS,
    "hidden_size": 8,
    "dtype": "float32",
    "device": "cpu",
    "max_tokens": 2048,
    "versions": {},
}


def submit(
    sessions: sessionmaker[Session],
    texts: Sequence[PostedText],
    *,
    texts_per_shard: int = 2,
    model: str = MODEL,
    key: str | None = None,
    owner: str = LOCAL_OWNER,
    **options: Any,
) -> UUID:
    draft = Draft(model=model, options=OPTIONS | options, idempotency_key=key, owner=owner)
    with sessions.begin() as session:
        job, _ = store.submit(session, draft, texts, ShardSize(characters=10**9, texts=texts_per_shard))
        return job.id


def claim(
    sessions: sessionmaker[Session], lease_seconds: float = LEASE_SECONDS, model: str = MODEL
) -> Claim | None:
    with sessions.begin() as session:
        return shards.claim(session, model, lease_seconds, MEASURED_WITH)


def must_claim(sessions: sessionmaker[Session], lease_seconds: float = LEASE_SECONDS) -> Claim:
    claimed = claim(sessions, lease_seconds)
    assert claimed is not None
    return claimed


def measured(sessions: sessionmaker[Session], claim: Claim, failing: Sequence[int] = ()) -> list[TextResult]:
    """Values that depend on the ordinal. The texts with ordinals in `failing` have an error instead."""
    with sessions.begin() as session:
        texts = shards.texts(session, claim)
    return [
        _measured(claim.first_ordinal + i, text.domain, claim.first_ordinal + i in failing)
        for i, text in enumerate(texts)
    ]


def _measured(ordinal: int, domain: str, failing: bool) -> TextResult:
    if failing:
        return TextResult(ordinal, domain, 0, False, "it would not", None)
    values = np.random.default_rng(ordinal).normal(size=(len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS)))
    stored = values.astype("<f8").tobytes()
    return TextResult(
        ordinal, domain, 10 + ordinal, False, None, stored, **massive_first_token(ordinal, LAYERS)
    )


def massive_first_token(ordinal: int, layers: int) -> dict[str, Any]:
    """What is stored of a text whose first token is its only massive one."""
    square_norms = np.random.default_rng(ordinal).uniform([[2], [0]], [[3], [1]], (2, layers))
    return {
        "massive": [0],
        "massive_strings": ["<s>"],
        "square_norms": square_norms.astype("<f8").tobytes(),
    }


def commit(sessions: sessionmaker[Session], claim: Claim, failing: Sequence[int] = ()) -> None:
    rows = measured(sessions, claim, failing)
    with sessions.begin() as session:
        shards.commit(session, claim, rows)
