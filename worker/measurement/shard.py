"""Measures the texts of a shard. A text that kills the process is found and excluded.

After two workers have died on a shard, one of its texts is suspected to be the cause. The texts are then
tried one by one. Each is noted in the database beforehand, so that the next worker knows which text killed
the last one. The values of the remaining texts still come from measuring the whole shard: a text measured
alone differs in its last bits from the same text in a batch, and results must not depend on crashes.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from app.jobs import shards
from app.jobs.shards import Claim, Fenced, ShardText, TextResult
from layerscope import values as codec
from layerscope.core import TextAnalysis, TextProfile, analyse_texts, profile_texts
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.errors import ModelError
from layerscope.names import PREDICTION_ANALYSES, Phase, Scope, SpecialTokens
from worker.measurement.analysis_sample import sampled_indices, stored, stored_tokens
from worker.measurement.work import Work
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease, Stopped

TRY_FROM_ATTEMPT = 3
ONE_BY_ONE_FROM_ATTEMPT = 9  # each text succeeds alone, but the shard fails: the batch is the cause
FATAL_CRASHES = 3
DEVICE_LOST = torch.AcceleratorError  # afterwards every GPU operation of the process fails

log = logging.getLogger(__name__)


def measure(
    context: WorkerContext, claim: Claim, texts: Sequence[ShardText], lease: Lease, work: Work
) -> list[TextResult]:
    """The rows of a shard's texts, in ordinal order. `work` is kept up to date.

    Raises: Fenced, Stopped.
    """
    try:
        head = None
        if _needs_head(claim):
            work.phase = Phase.LOADING
            head = context.head
        work.phase = Phase.MEASURING
    except ModelError as error:  # the job cannot be done: each of its texts fails with this reason
        return [_failed(claim, i, text.domain, str(error)) for i, text in enumerate(texts)]
    with context.sessions.begin() as session:
        sampled = sampled_indices(session, claim, [text.domain for text in texts])
    errors = {i: text.error for i, text in enumerate(texts) if text.error is not None}
    if claim.attempt >= TRY_FROM_ATTEMPT:
        errors |= _try_each(context, claim, texts, sampled, lease)
    healthy = [i for i in range(len(texts)) if i not in errors]
    measured = {i: _failed(claim, i, texts[i].domain, error) for i, error in errors.items()}
    for i in errors:
        work.measured(i, tokens=0)
    work.plan_analyses(sampled - set(errors))
    with work.observed(head):
        for profile in _profiles(context, claim, work.tokenized(texts[i].text for i in healthy)):
            lease.check()
            index = healthy[profile.ordinal]
            measured[index] = _row(claim, index, texts[index].domain, profile)
            work.measured(index, tokens=profile.tokens if profile.error is None else 0)
        analysed = [i for i in sorted(sampled) if measured[i].error is None]
        for analysis in _analyses(context, claim, [texts[i].text for i in analysed], lease):
            index = analysed[analysis.ordinal]
            measured[index] = _with_analysis(context, measured[index], analysis)
    return [measured[i] for i in range(len(texts))]


def _with_analysis(context: WorkerContext, measured: TextResult, analysis: TextAnalysis) -> TextResult:
    if analysis.error is not None:
        log.warning("text %d: %s", measured.ordinal, analysis.error)
    tokens = stored_tokens(context.model, analysis)
    return replace(measured, analysis=stored(analysis), token_result=tokens)


def new_work(context: WorkerContext, claim: Claim, texts: Sequence[ShardText]) -> Work:
    """The work of a shard before any of it is done."""
    options = _options(context, claim)
    limit = min(options["max_tokens"], options["window"] or options["max_tokens"])
    return Work(context.model, texts, claim.options.get("analyses", ()), limit)


def _profiles(context: WorkerContext, claim: Claim, texts: Iterable[TextInput]) -> Iterator[TextProfile]:
    options = _options(context, claim)
    return profile_texts(context.model, texts, components=claim.options["components"], **options)


def _analyses(
    context: WorkerContext, claim: Claim, texts: Sequence[TextInput], lease: Lease
) -> Iterator[TextAnalysis]:
    """Raises, also within a batch: Fenced, Stopped."""
    options = _options(context, claim) | {"components": claim.options["components"]}
    options["head"] = context.head if _needs_head(claim) else None
    analyses = claim.options.get("analyses", ())
    return analyse_texts(context.model, texts, analyses, check=lease.check, **options)


def _needs_head(claim: Claim) -> bool:
    return bool(set(claim.options.get("analyses", ())) & set(PREDICTION_ANALYSES))


def _options(context: WorkerContext, claim: Claim) -> dict[str, Any]:
    limit = context.max_tokens
    return {
        "max_tokens": min(claim.options["max_tokens"] or limit, limit),
        "overflow": claim.options["overflow"],
        "window": claim.options.get("window"),
        # Jobs that were accepted before this option existed were parsed.
        "special_tokens": claim.options.get("special_tokens", SpecialTokens.PARSE),
        "token_budget": 1 if claim.attempt >= ONE_BY_ONE_FROM_ATTEMPT else None,
    }


def _try_each(
    context: WorkerContext, claim: Claim, texts: Sequence[ShardText], sampled: set[int], lease: Lease
) -> dict[int, str]:
    """The errors of the texts that cannot be measured, by their index in the shard."""
    crashes = Counter(claim.crashes)
    errors: dict[int, str] = {}
    for index, (_, text, error_of_text) in enumerate(texts):
        if error_of_text is not None:
            continue
        lease.check()
        ordinal = claim.first_ordinal + index
        if crashes[ordinal] >= FATAL_CRASHES:
            errors[index] = (
                f"worker_crash: the process died {crashes[ordinal]} times while it measured this text"
            )
            continue
        with context.sessions.begin() as session:
            shards.suspect(session, claim, ordinal)
        try:
            list(_profiles(context, claim, [text]))
            list(_analyses(context, claim, [text] if index in sampled else [], lease))
        except (DEVICE_LOST, Fenced, Stopped):
            raise
        except Exception as error:
            log.exception("text %d cannot be measured", ordinal)
            errors[index] = f"worker_crash: {type(error).__name__}"
    with context.sessions.begin() as session:
        shards.suspect(session, claim, None)
    return errors


def _failed(claim: Claim, index: int, domain: str, error: str) -> TextResult:
    return TextResult(claim.first_ordinal + index, domain, 0, False, error, None)


def _row(claim: Claim, index: int, domain: str, profile: TextProfile) -> TextResult:
    stored = _stored(claim, profile) if profile.error is None else {"values": None}
    return TextResult(
        ordinal=claim.first_ordinal + index,
        domain=domain,
        tokens=profile.tokens,
        truncated=profile.truncated,
        error=profile.error,
        special_tokens_added=profile.special_tokens_added if profile.error is None else None,
        **stored,
    )


def _stored(claim: Claim, profile: TextProfile) -> dict[str, Any]:
    """The values in the scopes of the job. A job of an earlier version has no scope `typical`."""
    values = codec.encode(profile.values[:, : len(claim.scopes)])
    if Scope.TYPICAL not in claim.scopes:
        return {"values": values}
    return {
        "values": values,
        "massive": [token.position for token in profile.massive],
        "massive_strings": [token.token for token in profile.massive],
        "square_norms": codec.encode_square_norms(profile.square_norms),
    }
