"""The pages of a job's texts: the list, and each text with its layers and tokens."""

import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.api.access import VisitorDep
from app.api.pages.job_page import page_of_job
from app.api.service import ServiceDep
from app.charts import Selection
from app.errors import FileNotFound
from app.schemas import INTEGER_LIMIT, JobOut
from app.tables import Job
from app.text_views.submitted_text import chart_of_text, read_text
from app.text_views.text_list import Only, TextFilter, read_text_page
from app.text_views.token_shades import TokenMetric, shaded_tokens
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
    def found(session: Session, job: Job, state: JobOut) -> dict[str, Any]:
        return {"page": read_text_page(session, job.id, listed.filter), "problem": None}

    def too_slow(session: Session, job: Job, state: JobOut) -> dict[str, Any]:
        return {"page": None, "problem": TOO_SLOW}

    page = partial(page_of_job, "texts.html", job_id, principal, service, listed=listed, kinds=list(Only))
    try:
        return page(read=found)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        return page(read=too_slow, status_code=503)


@router.get("/jobs/{job_id}/texts/{ordinal}")
def read_text_of_job(
    job_id: str,
    ordinal: str,
    query: Annotated[TextQuery, Query()],
    principal: VisitorDep,
    service: ServiceDep,
) -> Response:
    read = partial(_contents, ordinal=ordinal, query=query)
    return page_of_job("text.html", job_id, principal, service, read, query=query)


def _contents(session: Session, job: Job, state: JobOut, *, ordinal: str, query: TextQuery) -> dict[str, Any]:
    selection = Selection(query.metric, query.scope, query.component).within(job, state)
    text = read_text(session, job.id, _number(ordinal))
    shades = [
        metric
        for metric in TokenMetric
        if metric != TokenMetric.SETTLES or Analysis.LOGIT_LENS in job.analyses
    ]
    return {
        "text": text,
        "chart": chart_of_text(job, text, selection),
        "tokens": shaded_tokens(session, job, text, query.shade, selection.component, query.layer),
        "selection": selection,
        "choices": {
            "metric": list(Metric),
            "scope": job.scopes,
            "component": state.options.components,
            "shade": shades,
        },
    }


def _number(ordinal: str) -> int:
    """Raises: FileNotFound."""
    if re.fullmatch(r"\d{1,10}", ordinal, re.ASCII) is None or int(ordinal) > INTEGER_LIMIT:
        raise FileNotFound(f"The job has no text {ordinal}.")
    return int(ordinal)
