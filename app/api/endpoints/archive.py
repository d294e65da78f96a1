"""All files and plots of a finished job as one ZIP archive, which is written while it is sent."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from anyio import CapacityLimiter
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse

from app.api.access import PrincipalDep
from app.api.endpoints.files import FILES
from app.api.endpoints.plots import MEDIA_TYPES, plot_file, plots_of
from app.api.job_files import JobFile, attachment_of, finished_job, stored_file
from app.api.middleware import HEAD
from app.api.openapi import problems
from app.api.service import Service, ServiceDep
from app.errors import FileNotFound
from app.files.parquet import Pipe
from app.tables import Job

ZIP = "application/zip"
COMPRESSED = (".parquet", ".png")  # formats that are compressed already
PIECE_BYTES = 2**18

router = APIRouter(tags=["files"])


@dataclass(frozen=True)
class Member:
    """A file of the archive, how often others like it may be written at a time, and its name there."""

    name: str
    file: JobFile
    turns: CapacityLimiter


@router.get(
    "/v1/jobs/{job_id}/files.zip",
    name="files.zip",
    summary="files.zip",
    response_class=StreamingResponse,
    responses={
        200: {"content": {ZIP: {}}, "description": "All files and plots of the job"},
        **problems(404, 409, 507),
    },
)
async def read_archive(
    job_id: UUID, principal: PrincipalDep, service: ServiceDep, request: Request
) -> Response:
    """All files and plots of a finished job. The archive has no Content-Length and no ranges."""
    job = await run_in_threadpool(finished_job, service, job_id, principal)
    headers = {"Cache-Control": "private, no-cache", "Content-Disposition": attachment_of(job, "files.zip")}
    if HEAD in request.scope:
        return StreamingResponse((), headers=headers, media_type=ZIP)
    members = await run_in_threadpool(_members, service, job)
    written = [member for member in members if await _is_written(member, job, service, request)]
    return StreamingResponse(_archive(written, job, service, request), headers=headers, media_type=ZIP)


def _members(service: Service, job: Job) -> list[Member]:
    with service.sessions.begin() as session:
        state = service.present(session, job)
    found = [Member(file.name, file, service.writing) for file in FILES if file.exists_for(job)]
    for name in plots_of(state):
        files = [plot_file(name, file_format) for file_format in MEDIA_TYPES]
        found += [Member(f"plots/{file.name}", file, service.drawing) for file in files]
    return found


async def _is_written(member: Member, job: Job, service: Service, request: Request) -> bool:
    """Writes the file to the cache before the archive begins, so that an error still has a status.

    False for a plot of which the job has no rows.
    """
    try:
        await stored_file(member.file, job.id, service, request, member.turns)
    except FileNotFound:
        return False
    return True


async def _archive(
    members: list[Member], job: Job, service: Service, request: Request
) -> AsyncIterator[bytes]:
    """The pieces of the archive. One file is open at a time."""
    assert job.finished_at is not None
    sink = Pipe()  # the size of a file follows its contents, because it cannot seek
    archive = ZipFile(sink, "w")
    for member in members:
        path = await stored_file(member.file, job.id, service, request, member.turns)
        async for piece in iterate_in_threadpool(_add(archive, sink, member.name, path, job.finished_at)):
            yield piece
    archive.close()
    yield sink.take()


def _add(archive: ZipFile, sink: Pipe, name: str, path: Path, moment: datetime) -> Iterator[bytes]:
    info = ZipInfo(name, moment.astimezone(UTC).timetuple()[:6])
    info.compress_type = ZIP_STORED if path.suffix in COMPRESSED else ZIP_DEFLATED
    info.file_size = path.stat().st_size  # above 2 GB, it selects the format for large files
    with path.open("rb") as file, archive.open(info, "w") as entry:
        while piece := file.read(PIECE_BYTES):
            entry.write(piece)
            yield sink.take()
    yield sink.take()
