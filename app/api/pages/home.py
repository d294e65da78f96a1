"""The home page: the newest jobs, and a form for new ones."""

from fastapi import APIRouter, Request, Response

from app.api.access import VisitorDep
from app.api.endpoints.models import list_models
from app.api.html import render
from app.api.pages.page_session import sign_in_page
from app.api.service import ServiceDep
from app.jobs import store
from app.jobs.view import present
from layerscope.names import DEFAULT_DOMAIN, NAME_PATTERN, NAME_RULE, Analysis, Component

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
        components=list(Component),
        analyses=list(Analysis),
    )
