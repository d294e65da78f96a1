"""The JSON state of jobs, computed from their rows. Functions that read the database take a Session."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.coordination import now
from app.errors import Problem
from app.jobs import counts
from app.jobs.completion import differences
from app.jobs.counts import DomainProgress
from app.jobs.warnings import warnings_about
from app.models import ModelConfig
from app.schemas import DomainOut, JobOptions, JobOut, Links, ModelOut, Progress
from app.tables import Job, LoadedModel, ModelFailure

# In bytes of JSON. They keep the state of a job below 4 KiB, however long its source or its error is.
LONGEST_SOURCE = 160
LONGEST_REVISION = 48
LONGEST_ERROR = 288  # an unfinished job has no error, but it may have a warning
LONGEST_WARNING = 288

Known = Mapping[str, dict[str, Any]]


def present(session: Session, found: Sequence[Job], models: Mapping[str, ModelConfig]) -> list[JobOut]:
    """The states of the jobs, in their order. The number of statements does not depend on their number."""
    progress = counts.progress(session, [job.id for job in found])
    known, at = known_models(session, models), now(session)
    failures = {failure.name: failure for failure in session.scalars(select(ModelFailure))}
    waits = [_waits_for(job, known, failures.get(job.model)) for job in found]
    return [
        _present(job, progress.get(job.id, []), known, wait, at)
        for job, wait in zip(found, waits, strict=True)
    ]


def present_one(session: Session, job: Job, models: Mapping[str, ModelConfig]) -> JobOut:
    return present(session, [job], models)[0]


def known_models(session: Session, models: Mapping[str, ModelConfig]) -> Known:
    """The facts of each configured model: from the last worker that loaded it, or from the model list."""
    loaded = {model.name: model.measured_with for model in session.scalars(select(LoadedModel))}
    return {name: _facts(loaded.get(name), config) for name, config in models.items()}


def _facts(loaded: dict[str, Any] | None, config: ModelConfig) -> dict[str, Any]:
    if loaded is not None and loaded["source"] == config.source:
        return loaded
    return configured(config)


def configured(config: ModelConfig) -> dict[str, Any]:
    return {"source": config.source, "revision": config.revision, "max_tokens": config.max_tokens}


def describe_model(name: str, facts: Mapping[str, Any]) -> ModelOut:
    return ModelOut(
        name=name,
        source=_cut(facts.get("source"), LONGEST_SOURCE),
        revision=_cut(facts.get("revision"), LONGEST_REVISION),
        layers=facts.get("layers"),
        hidden_size=facts.get("hidden_size"),
        dtype=facts.get("dtype"),
    )


def _cut(text: str | None, longest: int) -> str | None:
    """The text, shortened to at most `longest` bytes of JSON."""
    used = 0
    for index, character in enumerate(text or ""):
        used += len(json.dumps(character, ensure_ascii=False).encode()) - len('""')
        if used > longest:
            return f"{(text or '')[:index]}…"
    return text


def _present(
    job: Job, domains: Sequence[DomainProgress], known: Known, waits_for: str | None, now: datetime
) -> JobOut:
    # The state of a finished job must not change any more, since its files contain it.
    facts = job.measured_with or (job.configured if job.outcome else known.get(job.model, job.configured))
    return JobOut(
        id=job.id,
        name=job.name,
        status=job.status,
        model=describe_model(job.model, facts),
        options=JobOptions(**job.options),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        progress=_progress(job, domains, now),
        domains={d.domain: DomainOut(texts=d.texts, done=d.done, failed=d.failed) for d in domains},
        warnings=[*filter(None, [waits_for]), *warnings_about(d.domain for d in domains)],
        error=_error(job.error) if job.outcome else None,
        links=_links(job),
    )


@dataclass(frozen=True)
class Pace:
    """Texts per second since the start of a job, and the seconds for the remaining texts at this rate."""

    texts_per_second: float | None
    eta_seconds: float | None


def _pace(job: Job, settled: int, now: datetime) -> Pace:
    if job.started_at is None or settled == 0:
        return Pace(None, None)
    seconds = max(((job.finished_at or now) - job.started_at).total_seconds(), 1e-3)
    eta = None if job.finished_at else round((job.texts - settled) * seconds / settled, 1)
    return Pace(round(settled / seconds, 3), eta)


def _progress(job: Job, domains: Iterable[DomainProgress], now: datetime) -> Progress:
    done, failed = sum(d.done for d in domains), sum(d.failed for d in domains)
    pace = _pace(job, done + failed, now)
    return Progress(
        texts=job.texts,
        done=done,
        failed=failed,
        tokens=sum(d.tokens for d in domains),
        texts_per_second=pace.texts_per_second,
        eta_seconds=pace.eta_seconds,
    )


def _waits_for(job: Job, known: Known, failure: ModelFailure | None) -> str | None:
    """Why no worker can measure an unfinished job at the moment."""
    if job.outcome is not None:
        return None
    sentence = None
    offered = known.get(job.model)
    if offered is None:
        sentence = "The job waits, but its model is no longer in the model list: add it, or cancel the job."
    elif failure is not None:
        since = f"{failure.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        sentence = f"The job waits. Its model cannot be loaded since {since}: {failure.reason}"
    elif job.measured_with is not None and "versions" in offered:
        different = differences(job.measured_with, offered)
        sentence = f"The job waits for a worker with {different}." if different else None
    return _cut(sentence, LONGEST_WARNING)


def _error(stored: Mapping[str, Any] | None) -> Problem | None:
    if stored is None:
        return None
    detail = _cut(stored["detail"], LONGEST_ERROR) or ""
    return Problem(stored["type"], stored["title"], stored.get("status", 500), detail)


def path_of(job: Job) -> str:
    return f"/v1/jobs/{job.id}"


def _links(job: Job) -> Links:
    path = path_of(job)
    return Links(
        self=path,
        events=f"{path}/events",
        results_csv=f"{path}/results.csv",
        results_json=f"{path}/results.json",
        texts_csv=f"{path}/texts.csv",
        transitions_csv=f"{path}/transitions.csv",
        page=f"/jobs/{job.id}",
    )
