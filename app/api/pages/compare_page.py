"""The page that compares jobs, and its numbers as CSV."""

from collections.abc import Iterator
from string import ascii_uppercase
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from app.access.principal import Principal
from app.api.access import PrincipalDep, VisitorDep
from app.api.html import render
from app.api.job_files import content_disposition
from app.api.pages.page_session import sign_in_page
from app.api.service import Service, ServiceDep
from app.charts.comparability import Axis, ComparedJob, obstacle_of
from app.charts.compared_jobs import compare_jobs, csv_columns, csv_rows
from app.charts.selection import Selection
from app.errors import InvalidRequest, JobNotFound
from app.files.cells import csv_lines
from app.jobs import store
from app.schemas import JobOut
from layerscope.names import Component, Metric, Scope, Status

MOST_JOBS = 8
OFFERED_JOBS = 20

router = APIRouter(include_in_schema=False)


class CompareQuery(BaseModel):
    """Which jobs are compared, and by what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: tuple[UUID, ...] = ()
    metric: Metric = Selection.metric
    scope: Scope = Selection.scope
    component: Component = Selection.component
    domain: tuple[str, ...] = ()
    axis: Axis | None = None

    @property
    def ids(self) -> list[UUID]:
        """Raises: InvalidRequest if they are too many."""
        ids = list(dict.fromkeys(self.job))
        if len(ids) > MOST_JOBS:
            raise InvalidRequest(f"{len(ids)} jobs are selected. Select at most {MOST_JOBS}.")
        return ids

    @property
    def selection(self) -> Selection:
        return Selection(self.metric, self.scope, self.component, self.domain)


@router.get("/compare")
def read_comparison(
    query: Annotated[CompareQuery, Query()], principal: VisitorDep, service: ServiceDep
) -> Response:
    if principal is None:
        return sign_in_page()
    with service.session_of(principal) as session:
        jobs, absent = _jobs(service, session, query.ids)
        compared = compare_jobs(session, jobs, query.selection, query.axis) if len(jobs) > 1 else None
        offered = _offered(service, session, query.ids)
    return render(
        "compare.html",
        principal=principal,
        jobs=jobs,
        absent=absent,
        compared=compared,
        selection=query.selection,
        choices={"metric": list(Metric), "scope": list(Scope), "component": list(Component)},
        axes=list(Axis),
        offered=offered,
    )


@router.get("/compare.csv")
def read_compared_numbers(
    query: Annotated[CompareQuery, Query()], principal: PrincipalDep, service: ServiceDep
) -> Response:
    lines = "".join(_csv(query, principal, service))
    headers = {"Content-Disposition": content_disposition("compare.csv"), "Cache-Control": "no-store"}
    return Response(lines, headers=headers, media_type="text/csv; charset=utf-8; header=present")


def _csv(query: CompareQuery, principal: Principal, service: Service) -> Iterator[str]:
    with service.session_of(principal) as session:
        jobs, absent = _jobs(service, session, query.ids)
        if absent:
            raise JobNotFound(f"There is no job {absent[0]}.")
        for job in jobs:
            if obstacle := obstacle_of(job, query.selection):
                raise InvalidRequest(obstacle)
        yield from csv_lines(csv_columns(query.selection), csv_rows(session, jobs, query.selection))


def _jobs(service: Service, session: Session, ids: list[UUID]) -> tuple[list[ComparedJob], list[UUID]]:
    """The jobs with their letters, in the order of the query, and the ids of which there is no job."""
    found, absent = [], []
    for job_id in ids:
        try:
            found.append(store.get(session, job_id))
        except JobNotFound:
            absent.append(job_id)
    states = service.present_all(session, found)
    letters = ascii_uppercase[: len(found)]
    return [ComparedJob(*each) for each in zip(letters, found, states, strict=True)], absent


def _offered(service: Service, session: Session, ids: list[UUID]) -> list[JobOut]:
    """The newest jobs that can be added."""
    newest = store.page(session, status=Status.SUCCEEDED, model=None, limit=OFFERED_JOBS, before=None)
    return service.present_all(session, [job for job in newest if job.id not in ids])
