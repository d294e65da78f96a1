"""The list of jobs: searched, filtered, and page by page."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.access import VisitorDep
from app.api.html import render
from app.api.pages.page_session import sign_in_page
from app.api.service import ServiceDep
from app.jobs import store
from layerscope.names import STATUSES, Status

JOBS_PER_PAGE = 25

router = APIRouter(include_in_schema=False)


class JobsQuery(BaseModel):
    """The query of the list. An empty field of the form is the same as a missing one.

    `before`: the last job of the page before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    search: Annotated[str, Field(max_length=100)] = ""
    status: Status | Annotated[str, Field(max_length=0)] = ""
    model: Annotated[str, Field(max_length=100)] = ""
    before: UUID | None = None


@router.get("/jobs")
def list_jobs(listed: Annotated[JobsQuery, Query()], principal: VisitorDep, service: ServiceDep) -> Response:
    if principal is None:
        return sign_in_page()
    with service.session_of(principal) as session:
        found = store.page(
            session,
            status=listed.status or None,
            model=listed.model.replace("\x00", "") or None,
            limit=JOBS_PER_PAGE + 1,
            before=listed.before,
            search=listed.search.replace("\x00", "").strip(),
        )
        jobs = service.present_all(session, found[:JOBS_PER_PAGE])
    return render(
        "jobs.html",
        principal=principal,
        jobs=jobs,
        listed=listed,
        statuses=STATUSES,
        models=list(service.models),
        last=jobs[-1].id if len(found) > JOBS_PER_PAGE else None,
    )
