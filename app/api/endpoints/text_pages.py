"""The pages of a job's texts: the list, and each text with its layers and tokens."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError

from app.access.principal import Principal
from app.api.access import VisitorDep
from app.api.endpoints.page_session import sign_in_page
from app.api.html import render
from app.api.service import Service, ServiceDep
from app.charts import Selection
from app.errors import FileNotFound, JobNotFound
from app.jobs import store
from app.schemas import INTEGER_LIMIT
from app.text_views.submitted_text import chart_of_text, read_text
from app.text_views.text_list import Only, TextFilter, read_text_page
from app.text_views.token_shades import SHADES, TokenMetric, shaded_tokens
from layerscope.names import Analysis, Component, Metric, Scope

router = APIRouter(include_in_schema=False)

QUERY_CANCELED = "57014"  # the code of PostgreSQL for a statement that took too long
TOO_SLOW = "The search took too long. Select a domain, or search for a longer part of the text."


class ListQuery(BaseModel):
    """The query of the list. An empty field of the form is the same as a missing one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    search: Annotated[str, Field(max_length=200)] = ""
    domain: str = ""
    only: Only | Annotated[str, Field(max_length=0)] | None = None
    after: Annotated[int, Field(ge=-1, le=INTEGER_LIMIT)] = -1

    @property
    def filter(self) -> TextFilter:
        only = self.only if isinstance(self.only, Only) else None
        return TextFilter(self.search.replace("\x00", ""), self.domain or None, only, self.after)


class TextQuery(BaseModel):
    """The query of a text: what its chart and its tokens show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Metric = Selection.metric
    scope: Scope = Selection.scope
    shade: TokenMetric = TokenMetric.RELATIVE_NORM
    component: Component = Component.BLOCK
    layer: Annotated[int, Field(ge=0, le=INTEGER_LIMIT)] = 0


@router.get("/jobs/{job_id}/texts")
def list_texts(
    job_id: str, listed: Annotated[ListQuery, Query()], principal: VisitorDep, service: ServiceDep
) -> Response:
    if principal is None:
        return sign_in_page(refused=False)
    try:
        with service.session_of(principal) as session:
            job = store.get(session, UUID(job_id))
            state = service.present(session, job)
            found = read_text_page(session, job.id, listed.filter)
    except (JobNotFound, ValueError):
        return render("no_job.html", status_code=404, principal=principal)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        return _too_slow(job_id, listed, principal, service)
    return render(
        "texts.html",
        principal=principal,
        job=state,
        page=found,
        listed=listed,
        kinds=list(Only),
        problem=None,
    )


def _too_slow(job_id: str, listed: ListQuery, principal: Principal, service: Service) -> Response:
    state = service.read(UUID(job_id), principal)
    return render(
        "texts.html",
        status_code=503,
        principal=principal,
        job=state,
        page=None,
        listed=listed,
        kinds=list(Only),
        problem=TOO_SLOW,
    )


@router.get("/jobs/{job_id}/texts/{ordinal}")
def read_text_of_job(
    job_id: str, ordinal: str, read: Annotated[TextQuery, Query()], principal: VisitorDep, service: ServiceDep
) -> Response:
    if principal is None:
        return sign_in_page(refused=False)
    try:
        contents = _contents(service, principal, UUID(job_id), int(ordinal), read)
    except (JobNotFound, FileNotFound, ValueError):
        return render("no_job.html", status_code=404, principal=principal)
    return render("text.html", principal=principal, read=read, shades=SHADES, **contents)


def _contents(
    service: Service, principal: Principal, job_id: UUID, ordinal: int, read: TextQuery
) -> dict[str, Any]:
    if not 0 <= ordinal <= INTEGER_LIMIT:
        raise ValueError(ordinal)
    with service.session_of(principal) as session:
        job = store.get(session, job_id)
        state = service.present(session, job)
        selection = Selection(read.metric, read.scope, read.component).within(job, state)
        text = read_text(session, job.id, ordinal)
        tokens = None
        if Analysis.TOKENS in job.analyses:
            tokens = shaded_tokens(session, job, ordinal, read.shade, selection.component, read.layer)
        return {
            "job": state,
            "text": text,
            "chart": chart_of_text(job, text, selection),
            "tokens": tokens,
            "selection": selection,
            "choices": {
                "metric": list(Metric),
                "scope": job.scopes,
                "component": state.options.components,
                "shade": [
                    metric
                    for metric in TokenMetric
                    if metric != TokenMetric.SETTLES or Analysis.LOGIT_LENS in job.analyses
                ],
            },
        }
