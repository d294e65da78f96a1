"""Serves the files of finished jobs: written once to the cache, then always the same bytes, with ranges."""

import asyncio
import re
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from app.access.principal import Principal
from app.api.byte_ranges import Ranges, read_ranges
from app.api.middleware import HEAD
from app.api.openapi import problems
from app.api.service import Service
from app.disk_space import storing
from app.errors import FileNotFound, JobNotFound, TooBusy
from app.files import cache
from app.jobs import store
from app.tables import Job

CONDITIONS = {
    "Range": "the ranges to send, such as `bytes=100-`; a header that cannot be read is ignored",
    "If-Range": "the ETag of the file of which the other ranges are known",
    "If-None-Match": "the ETags of known files",
}


@dataclass(frozen=True)
class JobFile:
    """A file of finished jobs. `pieces` are its contents, read from the database.

    `require` raises FileNotFound for a job that does not have the file.
    """

    name: str
    media_type: str
    pieces: Callable[[Service, UUID], Generator[str | bytes, None, None]]
    require: Callable[[Job], None] = lambda job: None

    def exists_for(self, job: Job) -> bool:
        """Whether a finished job has the file."""
        try:
            self.require(job)
        except FileNotFound:
            return False
        return True


class StableFile(FileResponse):
    """Starlette's FileResponse with another reader of the header Range, as RFC 9110 recommends.

    Starlette answers a header that it cannot read with 400, and refuses all ranges if one is after the end of
    the file. `_parse_range_header` is not documented by Starlette; test_files.py fails if it changes.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if HEAD in scope:  # only GET supports ranges
            await super().__call__({**_without_range(scope), "method": "HEAD"}, receive, send)
            return
        try:
            await super().__call__(scope, receive, _sending_late(send))
        except FileNotFoundError as error:
            raise _vanished() from error

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> Ranges:
        return read_ranges(http_range, file_size)


def _without_range(scope: Scope) -> dict[str, Any]:
    headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
    return {**scope, "headers": headers}


def _sending_late(send: Send) -> Send:
    """Holds the status back until the file has been opened, so that a failure can still be answered."""
    held: list[Message] = []

    async def send_later(message: Message) -> None:
        held.append(message)
        if message["type"] != "http.response.start":
            for each in held:
                await send(each)
            held.clear()

    return send_later


def _vanished() -> TooBusy:
    return TooBusy("The file was removed from the cache, or its job was deleted, at this moment. Try again.")


async def send_file(
    file: JobFile,
    job_id: UUID,
    principal: Principal,
    service: Service,
    request: Request,
    turns: CapacityLimiter,
) -> Response:
    """`turns`: how many files of this kind may be written at a time; other requests wait without a thread.

    Raises: JobNotFound, JobNotFinished, RangeNotSatisfiable, TooBusy, DiskFull, and the errors of the file's
        pieces.
    """
    job = await run_in_threadpool(finished_job, service, job_id, principal)
    file.require(job)
    headers = stable_headers(job, file.name)
    if _is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = await stored_file(file, job_id, service, request, turns)
    try:
        return StableFile(path, headers=headers, media_type=file.media_type, stat_result=path.stat())
    except FileNotFoundError as error:
        raise _vanished() from error


async def stored_file(
    file: JobFile, job_id: UUID, service: Service, request: Request, turns: CapacityLimiter
) -> Path:
    """The file in the cache, which is written if it is not there.

    Raises: JobNotFound, TooBusy, DiskFull, and the errors of the file's pieces.
    """
    path = cache.path_of(service.settings.home, job_id, file.name)
    async with service.file_locks.setdefault(str(path), asyncio.Lock()):
        if not path.exists():
            await _write(file, job_id, service, request, turns)
    cache.used(path)
    return path


async def _write(
    file: JobFile, job_id: UUID, service: Service, request: Request, turns: CapacityLimiter
) -> None:
    """Waits for its turn. A file is not written for a client that has disconnected meanwhile."""
    with service.waiting_for_files.take():
        async with turns:
            if await request.is_disconnected():
                raise ClientDisconnect
            await run_in_threadpool(write_file, file, service, job_id)


def finished_job(service: Service, job_id: UUID, principal: Principal) -> Job:
    """Raises: JobNotFound, JobNotFinished."""
    with service.session_of(principal) as session:
        return store.get_finished(session, job_id)


def write_file(file: JobFile, service: Service, job_id: UUID) -> None:
    """Raises: JobNotFound if the job is deleted meanwhile, DiskFull, and the errors of the file's pieces."""
    path = cache.path_of(service.settings.home, job_id, file.name)
    try:
        with storing(), closing(file.pieces(service, job_id)) as pieces:
            cache.write(path, pieces)
    finally:
        _remove_if_deleted_meanwhile(service, job_id)


def _remove_if_deleted_meanwhile(service: Service, job_id: UUID) -> None:
    try:
        with service.sessions.begin() as session:
            store.get(session, job_id)
    except JobNotFound:
        cache.remove(service.settings.home, job_id)
        raise


def stable_headers(job: Job, name: str) -> dict[str, str]:
    assert job.finished_at is not None
    return {
        "ETag": f'"{job.id}-{name}-{cache.FORMAT}"',
        "Last-Modified": format_datetime(job.finished_at, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": attachment_of(job, name),
    }


def attachment_of(job: Job, name: str) -> str:
    """The header that names a downloaded file after its job."""
    return content_disposition(f"{(job.name or '').strip(' .-') or job.id}-{name}")


def content_disposition(filename: str) -> str:
    """The header of an attachment (RFC 6266): an ASCII name, and the full name if it has other characters."""
    filename = re.sub(r'[/\\:*?"<>|]', "_", filename).lstrip(" .")
    ascii_name = re.sub(r"[^ -~]", "_", filename).replace("%", "_")
    full_name = "" if ascii_name == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{ascii_name}"{full_name}'


def _is_known(if_none_match: str | None, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in known or "*" in known


def description_of_file(media_type: str) -> dict[str, Any]:
    """What the OpenAPI description says about a call that serves a file: arguments of `add_api_route`."""
    content: dict[str, Any] = {media_type.split(";")[0]: {}}
    ranges = content | {"multipart/byteranges": {}}
    etag = {"ETag": {"schema": {"type": "string"}}}
    in_file = {"Content-Range": {"description": "if it is one range", "schema": {"type": "string"}}}
    return {
        "responses": {
            200: {"content": content, "description": "The whole file", "headers": etag},
            206: {"content": ranges, "description": "The requested ranges", "headers": etag | in_file},
            304: {"description": "Not changed", "headers": etag},
            **problems(404, 409, 416, 507),
        },
        "openapi_extra": {
            "parameters": [
                {"name": name, "in": "header", "schema": {"type": "string"}, "description": meaning}
                for name, meaning in CONDITIONS.items()
            ]
        },
    }
