"""The home page: a form for a new job, and the newest jobs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.api.access import VisitorDep
from app.api.endpoints.models import list_models
from app.api.html import render
from app.api.pages.page_session import sign_in_page
from app.api.service import ServiceDep
from app.errors import JobNotFound
from app.jobs import store
from app.schemas import JobOptions
from layerscope.names import DEFAULT_DOMAIN, NAME_PATTERN, NAME_RULE, Analysis, Component, SpecialTokens

JOBS_SHOWN = 20

router = APIRouter(include_in_schema=False)


class HomeQuery(BaseModel):
    """`like`: a job whose model, name, options and texts the form contains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: UUID | None = None


@router.get("/")
def read_home(
    query: Annotated[HomeQuery, Query()], principal: VisitorDep, service: ServiceDep, request: Request
) -> Response:
    if principal is None:
        return sign_in_page()
    try:
        with service.session_of(principal) as session:
            found = store.page(session, status=None, model=None, limit=JOBS_SHOWN, before=None)
            newest = service.present_all(session, found)
            like = None if query.like is None else service.present(session, store.get(session, query.like))
    except JobNotFound:
        return render("no_job.html", status_code=404, principal=principal)
    return render(
        "home.html",
        principal=principal,
        jobs=newest,
        like=like,
        options=like.options if like else JobOptions(special_tokens=SpecialTokens.LITERAL),
        models=list_models(principal, service).data,
        base_url=str(request.base_url).rstrip("/"),
        default_domain=DEFAULT_DOMAIN,
        domain_pattern=NAME_PATTERN.replace("-]", r"\-]"),  # browsers require an escaped hyphen
        domain_rule=f"A name has {NAME_RULE}",
        components=list(Component),
        analyses=list(Analysis),
    )
