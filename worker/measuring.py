"""A shard's texts go in, its rows come out; a text that kills the process is found and left out.

A shard whose worker died twice is suspected to hold such a text. Its texts are then tried one at a
time, each noted in the database before, so that the next worker knows by which the last one died.
The values of those that live are still taken from the whole shard: a text alone differs in its last
bits from the same text in a batch, and results don't depend on who died when.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from app import shards
from app.shards import Claim, Measured
from worker.core import TextProfile, profile_texts
from worker.lease import Lease
from worker.station import Station

TRY_FROM_ATTEMPT = 3
ALONE_FROM_ATTEMPT = 9  # every text lives alone, and the shard still dies: what kills it is the batch
FATAL_CRASHES = 3
DEVICE_LOST = torch.AcceleratorError  # after it, all that a process asks of its GPU fails: as good as dead

log = logging.getLogger(__name__)


def measure(station: Station, claim: Claim, texts: Sequence[tuple[str, str]], lease: Lease) -> list[Measured]:
    """The rows of a shard's (domain, text) pairs, in ordinal order.

    Raises: Fenced, Stopped.
    """
    errors = _try_each(station, claim, texts, lease) if claim.attempt >= TRY_FROM_ATTEMPT else {}
    healthy = [i for i in range(len(texts)) if i not in errors]
    measured = {i: _failed(claim, i, texts[i][0], error) for i, error in errors.items()}
    for profile in _profiles(station, claim, [texts[i][1] for i in healthy]):
        lease.check()
        index = healthy[profile.ordinal]
        measured[index] = _row(claim, index, texts[index][0], profile)
    return [measured[i] for i in range(len(texts))]


def _profiles(station: Station, claim: Claim, texts: list[str]) -> Iterator[TextProfile]:
    if claim.attempt < ALONE_FROM_ATTEMPT:
        return profile_texts(station.model, texts, **_options(station, claim))
    return profile_texts(station.model, texts, **_options(station, claim), token_budget=1)


def _options(station: Station, claim: Claim) -> dict[str, Any]:
    limit = station.max_tokens
    return {
        "max_tokens": min(claim.options["max_tokens"] or limit, limit),
        "overflow": claim.options["overflow"],
        "components": claim.options["components"],
        "window": claim.options.get("window"),
    }


def _try_each(
    station: Station, claim: Claim, texts: Sequence[tuple[str, str]], lease: Lease
) -> dict[int, str]:
    """Why some of the texts can't be measured, by their place in the shard."""
    crashes = Counter(claim.crashes)
    errors: dict[int, str] = {}
    for index, (_, text) in enumerate(texts):
        lease.check()
        ordinal = claim.first_ordinal + index
        if crashes[ordinal] >= FATAL_CRASHES:
            errors[index] = (
                f"worker_crash: the process died {crashes[ordinal]} times while it measured this text"
            )
            continue
        with station.sessions.begin() as session:
            shards.suspect(session, claim, ordinal)
        try:
            list(profile_texts(station.model, [text], **_options(station, claim)))
        except DEVICE_LOST:
            raise
        except Exception as error:
            log.exception("text %d of job %s can't be measured", ordinal, claim.job_id)
            errors[index] = f"worker_crash: {type(error).__name__}"
    with station.sessions.begin() as session:
        shards.suspect(session, claim, None)
    return errors


def _failed(claim: Claim, index: int, domain: str, error: str) -> Measured:
    return Measured(claim.first_ordinal + index, domain, 0, False, error, None)


def _row(claim: Claim, index: int, domain: str, profile: TextProfile) -> Measured:
    return Measured(
        ordinal=claim.first_ordinal + index,
        domain=domain,
        tokens=profile.tokens,
        truncated=profile.truncated,
        error=profile.error,
        values=profile.values.astype("<f8").tobytes() if profile.error is None else None,
    )
