"""The page of a job: what its numbers say, its charts, tables and files."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.access.principal import Principal
from app.api.access import VisitorDep
from app.api.endpoints import files
from app.api.endpoints.plots import plots_of
from app.api.html import render
from app.api.pages.page_session import sign_in_page
from app.api.service import Service, ServiceDep
from app.charts import Selection, charts_of
from app.errors import FileNotFound, JobNotFound
from app.files.comparison import comparison_rows
from app.files.first_token import first_token_rows
from app.files.massive_tokens import massive_tokens_rows
from app.files.results import layer_rows
from app.jobs import store
from app.jobs.state.warnings import without_sizes
from app.schemas import JobOut
from app.tables import Job
from app.text_views.cautions import cautions
from layerscope.conclusions import COST, METRIC, Conclusion, conclusions
from layerscope.names import MEAN_AND_INTERVAL, Analysis, Component, Metric, Scope

router = APIRouter(include_in_schema=False)


class Shown(BaseModel):
    """The query of the page: what its charts show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Metric = Selection.metric
    scope: Scope = Selection.scope
    component: Component = Selection.component
    domain: tuple[str, ...] = ()
    first: Annotated[int, Field(ge=0)] = 0
    last: Annotated[int, Field(ge=0)] | None = None

    @property
    def selection(self) -> Selection:
        return Selection(self.metric, self.scope, self.component, self.domain, self.first, self.last)


@router.get("/jobs/{job_id}")
def read_job_page(
    job_id: str, shown: Annotated[Shown, Query()], principal: VisitorDep, service: ServiceDep
) -> Response:
    read = partial(_contents, wanted=shown.selection)
    return page_of_job("job.html", job_id, principal, service, read)


def page_of_job(
    template: str,
    job_id: str,
    principal: Principal | None,
    service: Service,
    read: Callable[[Session, Job, JobOut], dict[str, Any]],
    *,
    status_code: int = 200,
    **context: Any,
) -> Response:
    """A page about a job, with what `read` reads for it in a transaction that ends before it is rendered.

    A visitor without a key signs in first; a job or text that does not exist has a page too.
    """
    if principal is None:
        return sign_in_page()
    try:
        with service.session_of(principal) as session:
            job = store.get(session, _id_of(job_id))
            state = service.present(session, job)
            contents = read(session, job, state)
    except (JobNotFound, FileNotFound):
        return render("no_job.html", status_code=404, principal=principal)
    return render(template, status_code=status_code, principal=principal, job=state, **context, **contents)


def _id_of(job_id: str) -> UUID:
    """Raises: JobNotFound."""
    try:
        return UUID(job_id)
    except ValueError as error:
        raise JobNotFound(f"There is no job {job_id}.") from error


def _contents(session: Session, job: Job, state: JobOut, wanted: Selection) -> dict[str, Any]:
    """What the page shows of a finished job; nothing before it is finished."""
    if state.finished_at is None:
        nothing: dict[str, Any] = {"files": [], "plots": {}, "charts": [], "conclusions": [], "cautions": []}
        return {**nothing, "warnings": state.warnings}
    selection = wanted.within(job, state)
    found = _conclusions(session, job)
    says_few_texts = any(conclusion.chart == "domains" for conclusion in found)
    return {
        "files": [file.name for file in files.FILES if file.exists_for(job)],
        "plots": plots_of(state),
        "charts": charts_of(session, job, selection),
        "conclusions": found,
        "warnings": without_sizes(state.warnings) if says_few_texts else state.warnings,
        "cautions": cautions(session, job, list(state.domains)),
        "selection": selection,
        "choices": {"metric": list(Metric), "scope": job.scopes, "component": state.options.components},
    }


def _conclusions(session: Session, job: Job) -> list[Conclusion]:
    ends = MEAN_AND_INTERVAL
    cost = ["analysis_texts", *(COST + end for end in ends)] if Analysis.ABLATION in job.analyses else []
    columns = ("domain", "scope", "component", "layer", "texts", *(METRIC + end for end in ends), *cost)
    compared = comparison_rows(
        session, job, metric=METRIC, scope=Scope.TYPICAL.value, component=Component.BLOCK.value
    )
    return conclusions(
        layer_rows(session, job, columns, component=Component.BLOCK.value),
        compared,
        first_token_rows(session, job),
        massive_tokens_rows(session, job),
    )
