"""Measures a part of a corpus: what the process of an actor does. It knows nothing of Ray."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.errors import ConfigurationError
from app.jobs.completion import differences, reason
from app.jobs.shards import Claim, TextResult
from app.models import ModelConfig
from app.tables import Job
from layerscope.core import Model, analyse_texts, load_model, profile_texts
from layerscope.core.loading.head import load_head
from layerscope.errors import ModelError
from layerscope.names import PREDICTION_ANALYSES
from layerscope.stats.sampling import sample
from worker.corpus.attempts import Attempts
from worker.corpus.manifest import Manifest
from worker.corpus.parts import write_part
from worker.corpus.plan import PlannedText, part_name, read_part
from worker.corpus.storage import Storage
from worker.measurement.analysis_sample import SEED, stored
from worker.measurement.shard import DEVICE_LOST, FATAL_CRASHES, TRY_FROM_ATTEMPT
from worker.measurement.text_rows import ONE_BY_ONE_FROM_ATTEMPT, failed_row, measuring_options, row_of
from worker.runtime.model_loading import describe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartOutcome:
    """`tokens`: of the texts that were measured; `seconds`: of measuring and writing.

    `error`: why the part, and so the corpus, could not be measured.
    """

    part: int
    texts: int = 0
    failed: int = 0
    tokens: int = 0
    seconds: float = 0.0
    error: str | None = None


def load_and_describe(model: dict[str, Any], threads: int) -> tuple[Model, dict[str, Any]]:
    """The model, and the facts that belong to everything measured by it. Raises: ModelError."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", threads)))  # Ray sets it to `threads`
    config = ModelConfig(**model, folder=Path("/"))
    loaded = load_model(
        config.source, config.revision, config.dtype, config.device, matmul=config.matmul or "auto"
    )
    return loaded, describe(loaded, config)


class PartMeasurer:
    """Has the model, and measures one part after the other."""

    def __init__(self, storage: Storage, manifest: Manifest, model: dict[str, Any], threads: int) -> None:
        """Raises: ModelError; ConfigurationError if this is not the model of the manifest."""
        self._storage, self._manifest, self._job = storage, manifest, manifest.job()
        self._model, facts = load_and_describe(model, threads)
        self._limit: int = facts["max_tokens"]
        self._head: nn.Linear | None = None
        self._head_error: str | None = None
        if different := differences(manifest.measured_with, facts):
            raise ConfigurationError(f"An actor has another model than the first one: {different}.")
        if set(self._job.analyses) & set(PREDICTION_ANALYSES):
            try:
                self._head = load_head(self._model)
            except ModelError as error:  # as in the service, each text fails with this reason
                self._head_error = str(error)

    def measure(self, part: int) -> PartOutcome:
        """Measures and writes a part. Raises: RuntimeError after too many attempts."""
        started, cause = time.monotonic(), ""
        while True:
            attempts = Attempts.begin(self._storage, part_name(part))
            if attempts.attempt > ONE_BY_ONE_FROM_ATTEMPT:
                failed = attempts.attempt - 1
                raise RuntimeError(f"{failed} attempts to measure {part_name(part)} have failed{cause}")
            try:
                rows = list(self._rows(part, attempts))
                break
            except DEVICE_LOST:
                log.exception("the device is lost")
                os._exit(1)  # Ray starts another process; in this one every operation would fail
            except Exception as error:
                log.exception("%s: attempt %d failed", part_name(part), attempts.attempt)
                cause = f", the last one with {reason(error)}"
        write_part(self._storage, self._job, part, rows)
        attempts.end()
        failed = sum(row.error is not None for row in rows)
        tokens = sum(row.tokens for row in rows if row.error is None)
        return PartOutcome(part, len(rows), failed, tokens, time.monotonic() - started)

    def _rows(self, part: int, attempts: Attempts) -> Iterator[TextResult]:
        for number, texts in groupby(read_part(self._storage, part), key=lambda text: text.shard):
            yield from self._shard(_claim(self._job, number, attempts), list(texts), attempts)

    def _shard(self, claim: Claim, texts: Sequence[PlannedText], attempts: Attempts) -> list[TextResult]:
        """The rows of a shard, in ordinal order. All its texts are measured together, as in the service."""
        claim = replace(claim, first_ordinal=texts[0].ordinal, end_ordinal=texts[-1].ordinal + 1)
        if self._head_error is not None:
            return [failed_row(claim, i, text.domain, str(self._head_error)) for i, text in enumerate(texts)]
        given = [text.for_shard() for text in texts]
        sampled = {i for i, text in enumerate(texts) if self._is_sampled(text)}
        errors = {i: text.error for i, text in enumerate(given) if text.error is not None}
        if attempts.attempt >= TRY_FROM_ATTEMPT:
            errors |= self._try_each(claim, texts, sampled, attempts)
        healthy = [i for i in range(len(given)) if i not in errors]
        rows = {i: failed_row(claim, i, texts[i].domain, error) for i, error in errors.items()}
        for profile in self._profiles(claim, [given[i].text for i in healthy]):
            index = healthy[profile.ordinal]
            rows[index] = row_of(claim, index, texts[index].domain, profile)
        analysed = [i for i in sorted(sampled) if rows[i].error is None]
        for analysis in self._analyses(claim, [given[i].text for i in analysed]):
            index = analysed[analysis.ordinal]
            rows[index] = replace(rows[index], analysis=stored(analysis))
        return [rows[i] for i in range(len(texts))]

    def _is_sampled(self, text: PlannedText) -> bool:
        options = self._manifest.request["options"]
        count = self._manifest.domains[text.domain]
        return bool(options["analyses"]) and text.place in _sample(count, options["analysis_texts"])

    def _profiles(self, claim: Claim, texts: list[Any]) -> Iterator[Any]:
        options = measuring_options(claim, self._limit)
        return profile_texts(self._model, texts, components=claim.options["components"], **options)

    def _analyses(self, claim: Claim, texts: list[Any]) -> Iterator[Any]:
        if not texts:
            return iter(())
        options = measuring_options(claim, self._limit) | {"components": claim.options["components"]}
        return analyse_texts(self._model, texts, claim.options["analyses"], head=self._head, **options)

    def _try_each(
        self, claim: Claim, texts: Sequence[PlannedText], sampled: set[int], attempts: Attempts
    ) -> dict[int, str]:
        """The errors of the texts that cannot be measured, by their index in the shard."""
        errors: dict[int, str] = {}
        for index, text in enumerate(texts):
            if text.error is not None:
                continue
            if (crashes := attempts.count(text.ordinal)) >= FATAL_CRASHES:
                errors[index] = f"worker_crash: the process died {crashes} times while it measured this text"
                continue
            attempts.try_alone(text.ordinal)
            alone = [text.for_shard().text]
            try:
                list(self._profiles(claim, alone))
                list(self._analyses(claim, alone if index in sampled else []))
            except DEVICE_LOST:
                raise
            except Exception as error:
                log.exception("text %d cannot be measured", text.ordinal)
                errors[index] = f"worker_crash: {type(error).__name__}"
        attempts.try_alone(None)
        return errors


def _claim(job: Job, number: int, attempts: Attempts) -> Claim:
    """A shard of the corpus, as the functions of the service know it. No other actor measures it."""
    return Claim(job.id, number, 0, attempts.attempt, 0, 0, job.options, tuple(job.scopes))


@lru_cache(maxsize=64)
def _sample(texts: int, count: int) -> frozenset[int]:
    return frozenset(sample(range(texts), count, SEED))
