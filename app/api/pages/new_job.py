"""The form of the home page: a preview of its files, and its submission without JavaScript."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from app.access.principal import Principal
from app.api.access import PrincipalDep
from app.api.endpoints.jobs import create_job
from app.api.html import render
from app.api.request_body import FORM, Body, FormBody, arriving_form, media_type_of, submitted_body
from app.api.service import Service, ServiceDep
from app.errors import UnsupportedMediaType
from app.jobs import counts
from app.submission.uploads.preview import preview_of

router = APIRouter(include_in_schema=False)


@router.post("/jobs/preview")
async def preview(principal: PrincipalDep, service: ServiceDep, request: Request) -> Response:
    """Nothing is stored. Raises: the errors of a submission."""
    if media_type_of(request) != FORM:
        raise UnsupportedMediaType(f"The preview needs a form with files: {FORM}.")
    with service.uploads.take():
        async with arriving_form(request, service) as form:
            make_page = partial(_preview_page, service, principal, form)
            return await to_thread.run_sync(make_page, limiter=service.storing)


def _preview_page(service: Service, principal: Principal, form: FormBody) -> Response:
    data = form.open(service)
    found = preview_of(data, service.settings)
    model = dict(data.fields).get("model", "")
    with service.session_of(principal) as session:
        pace = counts.pace_of_model(session, model)
    return render("preview.html", principal=principal, preview=found, pace=pace)


@router.post("/jobs/new")
async def create_job_and_show_it(
    principal: PrincipalDep, body: Annotated[Body, Depends(submitted_body)], service: ServiceDep
) -> Response:
    state = await create_job(principal, body, service, Response())
    return RedirectResponse(state.links.page, status_code=303)
