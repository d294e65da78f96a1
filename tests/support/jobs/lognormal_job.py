"""Finished jobs with values from a log-normal distribution, written without a model."""

from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards
from app.jobs.shards import TextResult
from layerscope import values as codec
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.jobs.jobs_by_hand import MODEL, massive_first_token, must_claim, submit
from worker.finalization.finalize import finalize_jobs

Array = NDArray[np.float64]
Sessions = sessionmaker[Session]
LAYERS = 3
SHAPE = (len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS))
TOKENS = {"a": 7, "b": 31, "c": 12}  # tokens of a text of the domain


def lognormal_job(
    sessions: Sessions, domains: dict[str, int], failing: tuple[int, ...] = (), **options: Any
) -> tuple[UUID, dict[str, dict[int, Array]]]:
    """A finished job, and the values of the texts of each domain by their number in the domain."""
    texts = [(domain, "x") for domain, count in domains.items() for _ in range(count)]
    job_id = submit(sessions, texts, texts_per_shard=len(texts), **options)
    claimed = must_claim(sessions)
    values: dict[str, dict[int, Array]] = {domain: {} for domain in domains}
    measured = []
    for ordinal, (domain, _) in enumerate(texts):
        place = sum(other == domain for other, _ in texts[:ordinal])
        if ordinal in failing:
            measured.append(TextResult(ordinal, domain, 9, False, "it would not", None))
            continue
        array = np.random.default_rng(ordinal).lognormal(size=SHAPE) + (domain == "b")
        tokens = TOKENS[domain] + 5 * place - (6 if (domain, place) == ("a", 0) else 0)
        if tokens == 1:
            array[:, [SCOPES.index("rest"), SCOPES.index("typical")]] = np.nan
        values[domain][place] = array
        stored = codec.encode(array)
        measured.append(
            TextResult(
                *(ordinal, domain, tokens, False, None, stored),
                special_tokens_added=place,
                **massive_first_token(ordinal, LAYERS),
            )
        )
    with sessions.begin() as session:
        shards.commit(session, claimed, measured)
    finalize_jobs(sessions, MODEL)
    return job_id, values
