"""Finished jobs with known numbers, stored as a worker stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.shards import Claim, TextResult
from app.jobs.store import Draft, PostedText
from app.tables import Job, layer_profile
from layerscope.names import COMPONENTS, METRICS, SCOPES, STATISTIC_COLUMNS
from tests.support.jobs.jobs_by_hand import LAYERS, MEASURED_WITH, massive_first_token

ERROR = "=the text has more tokens than the model reads"


@dataclass(frozen=True)
class FinishedJob:
    id: UUID
    values: dict[int, NDArray[np.float64]]  # ordinal: (component, scope, layer, metric)


def finished_job(
    sessions: sessionmaker[Session],
    texts: Sequence[PostedText] = (("cpp", "a"), ("cpp", "b"), ("python", "c")),
    *,
    name: str | None = None,
    components: Sequence[str] = COMPONENTS,
    layers: int = LAYERS,
    failing: Sequence[int] = (),
    outcome: str = "succeeded",
    special_tokens: str | None = None,
    scopes: Sequence[str] = SCOPES,
) -> FinishedJob:
    """The first text has one token: its values in the scopes `rest` and `typical` are NaN.

    The second has an infinity.

    Without `special_tokens` the job is from before this option. To text i, i special tokens were added. The
    first token of each text is massive.
    """
    options: dict[str, Any] = {"max_tokens": None, "overflow": "truncate", "components": list(components)}
    if special_tokens is not None:
        options["special_tokens"] = special_tokens
    with sessions.begin() as session:
        draft = Draft(model="demo", name=name, options=options)
        job = store.submit(session, draft, texts, ShardSize(characters=10**9, texts=10**6))[0]
        job_id, job.scopes = job.id, list(scopes)
    with sessions.begin() as session:
        claim = shards.claim(session, "demo", 60, MEASURED_WITH)
    assert claim is not None
    shape = len(components), len(scopes), layers, len(METRICS)
    values = {i: _values(i, shape) for i in range(len(texts)) if i not in failing}
    with sessions.begin() as session:
        shards.commit(session, claim, [_measured(claim, i, d, values) for i, (d, *_) in enumerate(texts)])
    _finish(sessions, job_id, {domain for domain, *_ in texts}, scopes, components, layers, outcome)
    return FinishedJob(job_id, values)


def _values(ordinal: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = np.random.default_rng(ordinal).normal(size=shape)
    if ordinal == 0:
        values[:, [i for i, scope in enumerate(SCOPES[: shape[1]]) if scope in ("rest", "typical")]] = np.nan
    if ordinal == 1:
        values[0, 0, 0, 0] = np.inf
    return values


def _measured(claim: Claim, ordinal: int, domain: str, values: dict[int, NDArray[np.float64]]) -> TextResult:
    if ordinal not in values:
        return TextResult(ordinal, domain, 0, False, ERROR, None)
    data = values[ordinal].astype("<f8").tobytes()
    massive = massive_first_token(ordinal, values[ordinal].shape[2]) if "typical" in claim.scopes else {}
    return TextResult(
        *(ordinal, domain, ordinal + 1, ordinal == 1, None, data), special_tokens_added=ordinal, **massive
    )


def _finish(
    sessions: sessionmaker[Session],
    job_id: UUID,
    domains: set[str],
    scopes: Sequence[str],
    components: Sequence[str],
    layers: int,
    outcome: str,
) -> None:
    rows = [
        layer_row(job_id, domain, scope, component, layer)
        for domain in {"*", *domains}
        for scope in scopes
        for component in components
        for layer in range(layers)
    ]
    with sessions.begin() as session:
        session.execute(insert(layer_profile), rows)
        session.execute(update(Job).where(Job.id == job_id).values(outcome=outcome, finished_at=CLOCK))


def layer_row(job_id: UUID, domain: str, scope: str, component: str, layer: int) -> dict[str, Any]:
    """The pooled domain has three texts. Each other domain has one text, and therefore no variance."""
    seed = abs(hash((len(domain), scope == "all", COMPONENTS.index(component), layer))) % 2**32
    statistics: dict[str, float | None] = dict(
        zip(
            STATISTIC_COLUMNS,
            np.random.default_rng(seed).normal(size=len(STATISTIC_COLUMNS)).tolist(),
            strict=True,
        )
    )
    if domain != "*":
        statistics |= {
            name: None for name in STATISTIC_COLUMNS if name.endswith(("_var", "_std", "_low", "_high"))
        }
    texts = 3 if domain == "*" else 1
    key = {"domain": domain, "scope": scope, "component": component, "layer": layer}
    return {"job_id": job_id, **key, "texts": texts, "tokens": 10 * texts, **statistics}
