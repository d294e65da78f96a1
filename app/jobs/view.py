"""The JSON state of jobs, computed from their rows. Functions that read the database take a Session."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.errors import Problem
from app.jobs import counts
from app.jobs.completion import differences
from app.jobs.counts import DomainProgress
from app.jobs.reports import UNKNOWN, Live, Reports
from app.jobs.state.links import links, more_links
from app.jobs.state.model_states import NOTHING_NEEDED, ModelStates, read_model_states
from app.jobs.state.progress import JobProgress
from app.jobs.state.size import LONGEST_ERROR, LONGEST_REVISION, LONGEST_SOURCE, cut, with_optional_parts
from app.jobs.state.warnings import warnings_about
from app.models import ModelConfig
from app.schemas import JobOptions, JobOut, ModelOut
from app.tables import Job
from layerscope.names import Phase


def present(
    session: Session,
    found: Sequence[Job],
    models: Mapping[str, ModelConfig],
    reports: Reports | None = None,
    notes: Sequence[str] = (),
) -> list[JobOut]:
    """The states of the jobs, in their order. The number of statements does not depend on their number.

    Without `reports`, only committed progress is known. `notes` are further warnings.
    """
    progress = counts.progress(session, [job.id for job in found])
    # A finished job depends on none of these.
    is_needed = any(job.outcome is None for job in found)
    states_of_models = read_model_states(session, models) if is_needed else NOTHING_NEEDED
    live = UNKNOWN if reports is None else _read(reports, found, progress)
    states = []
    for job in found:
        domains = progress.get(job.id, [])
        state = _present(job, domains, states_of_models, live)
        waits_for = _waits_for(job, states_of_models) or _missing_worker(state, live)
        warnings = [*filter(None, [waits_for]), *notes, *warnings_about(domains, job.outcome is not None)]
        states.append(with_optional_parts(state, warnings, more_links(job)))
    return states


def present_one(
    session: Session,
    job: Job,
    models: Mapping[str, ModelConfig],
    reports: Reports | None = None,
    notes: Sequence[str] = (),
) -> JobOut:
    return present(session, [job], models, reports, notes)[0]


def _read(reports: Reports, found: Sequence[Job], progress: Mapping[UUID, Sequence[DomainProgress]]) -> Live:
    """What Redis says about the unfinished jobs."""
    unfinished = [job for job in found if job.outcome is None]
    leases = {job.id: {lease for of in progress.get(job.id, ()) for lease in of.leases} for job in unfinished}
    waiting = [job.model for job in unfinished if not leases[job.id]]
    return reports.read((lease for of_job in leases.values() for lease in of_job), waiting)


def describe_model(name: str, facts: Mapping[str, Any]) -> ModelOut:
    return ModelOut(
        name=name,
        source=cut(facts.get("source"), LONGEST_SOURCE),
        revision=cut(facts.get("revision"), LONGEST_REVISION),
        layers=facts.get("layers"),
        hidden_size=facts.get("hidden_size"),
        dtype=facts.get("dtype"),
    )


def _present(job: Job, domains: Sequence[DomainProgress], models: ModelStates, live: Live) -> JobOut:
    # The state of a finished job must not change any more, since its files contain it.
    known = job.configured if job.outcome else models.known.get(job.model, job.configured)
    facts = job.measured_with or known
    progress = JobProgress(job, domains, live)
    return JobOut(
        id=job.id,
        name=job.name,
        status=job.status,
        model=describe_model(job.model, facts),
        options=JobOptions(**job.options),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        progress=progress.of_job(models.at),
        domains=progress.of_domains(),
        warnings=[],
        error=_error(job.error) if job.outcome else None,
        links=links(job),
    )


def _waits_for(job: Job, models: ModelStates) -> str | None:
    """Why no worker can measure an unfinished job at the moment."""
    if job.outcome is not None:
        return None
    sentence = None
    offered, failure = models.known.get(job.model), models.failures.get(job.model)
    if offered is None:
        sentence = "The job waits, but its model is no longer in the model list: add it, or cancel the job."
    elif failure is not None:
        sentence = (
            f"The job waits. Its model cannot be loaded since {_second(failure.since)}: {failure.reason}"
        )
    elif job.measured_with is not None and "versions" in offered:
        different = differences(job.measured_with, offered)
        sentence = f"The job waits for a worker with {different}." if different else None
    return sentence


def _second(moment: datetime) -> str:
    """As in RFC 3339, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _missing_worker(state: JobOut, live: Live) -> str | None:
    name = state.model.name
    if state.progress.phase != Phase.WAITING or not live.is_without_worker(name):
        return None
    return f"No worker serves the model {name}. The job waits until one is started."


def _error(stored: Mapping[str, Any] | None) -> Problem | None:
    if stored is None:
        return None
    detail = cut(stored["detail"], LONGEST_ERROR) or ""
    return Problem(stored["type"], stored["title"], stored.get("status", 500), detail)
