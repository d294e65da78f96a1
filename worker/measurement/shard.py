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

import torch

from app.jobs import shards
from app.jobs.shards import Claim, Fenced, ShardText, TextResult
from layerscope.core import TextAnalysis, TextProfile, analyse_texts, profile_texts
from layerscope.core.tokenization.token_ids import TextInput
from layerscope.errors import ModelError
from layerscope.names import PREDICTION_ANALYSES, Phase
from worker.measurement.analysis_sample import sampled_indices, stored, stored_tokens
from worker.measurement.text_rows import failed_row, measuring_options, row_of
from worker.measurement.work import Work
from worker.observation.step_times import Step, StepTimes
from worker.runtime.context import WorkerContext
from worker.runtime.lease import Lease, Stopped

TRY_FROM_ATTEMPT = 3
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
        return [failed_row(claim, i, text.domain, str(error)) for i, text in enumerate(texts)]
    with context.sessions.begin() as session:
        sampled = sampled_indices(session, claim, [text.domain for text in texts])
    errors = {i: text.error for i, text in enumerate(texts) if text.error is not None}
    if claim.attempt >= TRY_FROM_ATTEMPT:
        errors |= _try_each(context, claim, texts, sampled, lease)
    healthy = [i for i in range(len(texts)) if i not in errors]
    measured = {i: failed_row(claim, i, texts[i].domain, error) for i, error in errors.items()}
    for i in errors:
        work.failed(i)
    work.plan_analyses(sampled - set(errors))
    with work.observed(head):
        for profile in _profiles(context, claim, work.tokenized(texts[i].text for i in healthy)):
            lease.check()
            index = healthy[profile.ordinal]
            measured[index] = row_of(claim, index, texts[index].domain, profile)
            if profile.error is None:
                work.measured(index, profile.tokens)
            else:
                work.failed(index)
        analysed = [i for i in sorted(sampled) if measured[i].error is None]
        work.times.enter(Step.ANALYSE if analysed else None)
        for analysis in _analyses(context, claim, [texts[i].text for i in analysed], lease):
            index = analysed[analysis.ordinal]
            measured[index] = _with_analysis(context, measured[index], analysis)
    work.times.enter(None)
    return [measured[i] for i in range(len(texts))]


def _with_analysis(context: WorkerContext, measured: TextResult, analysis: TextAnalysis) -> TextResult:
    if analysis.error is not None:
        log.warning("text %d: %s", measured.ordinal, analysis.error)
    tokens = stored_tokens(context.model, analysis)
    return replace(measured, analysis=stored(analysis), token_result=tokens)


def new_work(context: WorkerContext, claim: Claim, texts: Sequence[ShardText], times: StepTimes) -> Work:
    """The work of a shard before any of it is done."""
    options = measuring_options(claim, context.max_tokens)
    limit = min(options["max_tokens"], options["window"] or options["max_tokens"])
    return Work(context.model, texts, claim.options.get("analyses", ()), limit, times)


def _profiles(context: WorkerContext, claim: Claim, texts: Iterable[TextInput]) -> Iterator[TextProfile]:
    options = measuring_options(claim, context.max_tokens)
    return profile_texts(context.model, texts, components=claim.options["components"], **options)


def _analyses(
    context: WorkerContext, claim: Claim, texts: Sequence[TextInput], lease: Lease
) -> Iterator[TextAnalysis]:
    """Raises, also within a batch: Fenced, Stopped."""
    options = measuring_options(claim, context.max_tokens) | {"components": claim.options["components"]}
    options["head"] = context.head if _needs_head(claim) else None
    analyses = claim.options.get("analyses", ())
    return analyse_texts(context.model, texts, analyses, check=lease.check, **options)


def _needs_head(claim: Claim) -> bool:
    return bool(set(claim.options.get("analyses", ())) & set(PREDICTION_ANALYSES))


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
