"""The pictures of finished jobs: drawn once, byte-stable."""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from app import export, jobs, plots
from app.api.results import JobFile, file_responses, send_file
from app.api.service import Service, ServiceDep
from app.plots import Format
from app.tables import Job

MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "svg": "image/svg+xml"}

router = APIRouter(tags=["files"])


def _endpoint(file_format: Format) -> Callable[..., Any]:
    async def read_plot(job_id: UUID, name: str, service: ServiceDep, request: Request) -> Response:
        plots.find(name)
        pieces = partial(_draw, name, file_format)
        file = JobFile(f"{name}.{file_format}", MEDIA_TYPES[file_format], pieces)
        return await send_file(file, job_id, service, request)

    return read_plot


def _draw(name: str, file_format: Format, service: Service, job_id: UUID) -> Generator[bytes, None, None]:
    with service.sessions.begin() as session:
        job = jobs.get_finished(session, job_id)
        caption, rows = _caption(service, session, job), list(export.layer_rows(session, job))
    yield plots.draw(name, rows, caption, file_format)


def _caption(service: Service, session: Session, job: Job) -> str:
    model = service.present(session, job).model
    revision = f" at revision {model.revision}" if model.revision else ""
    return f"Model {model.name}: {model.source}{revision}, {model.dtype}; job {job.id}"


for file_format, media_type in MEDIA_TYPES.items():
    router.add_api_route(
        f"/v1/jobs/{{job_id}}/plots/{{name}}.{file_format}",
        _endpoint(file_format),
        name=f"plot.{file_format}",
        summary=f"A picture: {', '.join(plots.PICTURES)}",
        response_class=FileResponse,
        responses=file_responses(media_type),
    )
