"""The web pages: the newest jobs with a form for new ones, and a page for each job."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app import plots
from app.access.principal import Principal
from app.api.access import VisitorDep
from app.api.endpoints import files
from app.api.endpoints.models import list_models
from app.api.endpoints.page_session import sign_in_page
from app.api.endpoints.plots import measured
from app.api.html import render
from app.api.service import Service, ServiceDep
from app.errors import JobNotFound
from app.jobs import store
from app.jobs.view import present
from app.schemas import JobOut
from layerscope.names import DEFAULT_DOMAIN, NAME_PATTERN, NAME_RULE, Analysis, Component, Status

JOBS_SHOWN = 20

router = APIRouter(include_in_schema=False)


@router.get("/")
def read_home(principal: VisitorDep, service: ServiceDep, request: Request) -> Response:
    if principal is None:
        return sign_in_page(refused=False)
    with service.session_of(principal) as session:
        found = store.page(session, status=None, model=None, limit=JOBS_SHOWN, before=None)
        newest = present(session, found, service.models)
    return render(
        "home.html",
        principal=principal,
        jobs=newest,
        models=list_models(principal, service).data,
        base_url=str(request.base_url).rstrip("/"),
        default_domain=DEFAULT_DOMAIN,
        domain_pattern=NAME_PATTERN.replace("-]", r"\-]"),  # browsers require an escaped hyphen
        domain_rule=f"A name has {NAME_RULE}",
    )


@router.get("/jobs/{job_id}")
def read_job_page(job_id: str, principal: VisitorDep, service: ServiceDep) -> Response:
    if principal is None:
        return sign_in_page(refused=False)
    try:
        job = service.read(UUID(job_id), principal)
    except (JobNotFound, ValueError):
        return render("no_job.html", status_code=404, principal=principal)
    return render(
        "job.html",
        principal=principal,
        job=job,
        unattended=job.status == Status.QUEUED and _has_no_worker(principal, service, job.model.name),
        **_contents(job),
    )


def _has_no_worker(principal: Principal, service: Service, model: str) -> bool:
    models = list_models(principal, service).data
    return any(known.name == model and known.workers_alive == 0 for known in models)


def _contents(job: JobOut) -> dict[str, Any]:
    """The files and plots of a job; none before it is finished."""
    if job.finished_at is None:
        return {"files": [], "plots": {}}
    return {
        "files": [file.name for file in files.FILES if _has(job, file.name)],
        "plots": {
            name: plot for name, plot in plots.PLOTS.items() if plot.unavailable_reason(measured(job)) is None
        },
    }


def _has(job: JobOut, file: str) -> bool:
    if file == "transitions.csv":
        return Component.BLOCK in job.options.components
    return not file.startswith("tokens.") or Analysis.TOKENS in job.options.analyses
