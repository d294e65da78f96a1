"""The files of finished jobs: written once, byte-stable, with ranges."""

import asyncio
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.responses import MalformedRangeHeader
from starlette.responses import RangeNotSatisfiable as NoSuchRange
from starlette.types import Receive, Scope, Send

from app.api.middleware import HEAD
from app.api.openapi import problems
from app.api.service import Service, ServiceDep
from app.errors import JobNotFound, RangeNotSatisfiable
from app.files import cache, comparison, export, first_token, parquet
from app.jobs import store
from app.tables import Job

CSV = "text/csv; charset=utf-8; header=present"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"

router = APIRouter(tags=["files"])
writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True)
class JobFile:
    name: str
    media_type: str
    pieces: Callable[[Service, UUID], Generator[str | bytes, None, None]]


def _streamed(
    name: str, media_type: str, of_job: Callable[[Service, Session, Job], Iterator[str | bytes]]
) -> JobFile:
    """A file that is written while its rows are read."""

    def pieces(service: Service, job_id: UUID) -> Generator[str | bytes, None, None]:
        with service.sessions.begin() as session:
            yield from of_job(service, session, store.get_finished(session, job_id))

    return JobFile(name, media_type, pieces)


def _results_json(service: Service, session: Session, job: Job) -> Iterator[str]:
    return export.results_json(session, job, service.present(session, job))


def _comparison_json(service: Service, session: Session, job: Job) -> Iterator[str]:
    return comparison.comparison_json(session, job, service.present(session, job))


def _first_token_json(service: Service, session: Session, job: Job) -> Iterator[str]:
    return first_token.first_token_json(session, job, service.present(session, job))


FILES = (
    _streamed("results.csv", CSV, lambda _, session, job: export.results_csv(session, job)),
    _streamed("results.json", "application/json", _results_json),
    _streamed("texts.csv", CSV, lambda _, session, job: export.texts_csv(session, job)),
    _streamed("texts.ndjson", NDJSON, lambda _, session, job: export.texts_ndjson(session, job)),
    _streamed("transitions.csv", CSV, lambda _, session, job: export.transitions_csv(session, job)),
    _streamed("comparison.csv", CSV, lambda _, session, job: comparison.comparison_csv(session, job)),
    _streamed("comparison.json", "application/json", _comparison_json),
    _streamed("first_token.csv", CSV, lambda _, session, job: first_token.first_token_csv(session, job)),
    _streamed("first_token.json", "application/json", _first_token_json),
    _streamed("results.parquet", PARQUET, lambda _, session, job: parquet.results_parquet(session, job)),
    _streamed("texts.parquet", PARQUET, lambda _, session, job: parquet.texts_parquet(session, job)),
    _streamed(
        "comparison.parquet", PARQUET, lambda _, session, job: parquet.comparison_parquet(session, job)
    ),
)


class StableFile(FileResponse):
    """Starlette's, but a range it can't read is passed over, and one behind the end is our problem."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except NoSuchRange as error:
            raise RangeNotSatisfiable(
                f"The file has {file_size} bytes.", headers={"Content-Range": f"bytes */{file_size}"}
            ) from error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if HEAD in scope:  # a range is asked for by GET alone
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "method": "HEAD", "headers": headers}
        await super().__call__(scope, receive, send)


def _endpoint(file: JobFile) -> Callable[..., Any]:
    async def read_file(job_id: UUID, service: ServiceDep, request: Request) -> Response:
        return await send_file(file, job_id, service, request)

    return read_file


async def send_file(file: JobFile, job_id: UUID, service: Service, request: Request) -> Response:
    """Raises: JobNotFound, JobNotFinished, RangeNotSatisfiable, and what the file's pieces raise."""
    job = await run_in_threadpool(_finished, service, job_id)
    headers = stable_headers(job, file.name)
    if _is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = cache.path_of(service.settings.home, job_id, file.name)
    async with writing.setdefault(str(path), asyncio.Lock()):
        if not path.exists():
            await run_in_threadpool(_write, file, service, job_id)
    return StableFile(path, headers=headers, media_type=file.media_type)


def _finished(service: Service, job_id: UUID) -> Job:
    with service.sessions.begin() as session:
        return store.get_finished(session, job_id)


def _write(file: JobFile, service: Service, job_id: UUID) -> None:
    path = cache.path_of(service.settings.home, job_id, file.name)
    try:
        with closing(file.pieces(service, job_id)) as pieces:
            cache.write(path, pieces)
    finally:
        _remove_if_deleted_meanwhile(service, job_id)


def _remove_if_deleted_meanwhile(service: Service, job_id: UUID) -> None:
    try:
        _finished(service, job_id)
    except JobNotFound:
        cache.remove(service.settings.home, job_id)
        raise


def stable_headers(job: Job, name: str) -> dict[str, str]:
    assert job.finished_at is not None
    return {
        "ETag": f'"{job.id}-{name}-{export.FORMAT}"',
        "Last-Modified": format_datetime(job.finished_at, usegmt=True),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": content_disposition(f"{(job.name or '').strip(' .-') or job.id}-{name}"),
    }


def content_disposition(filename: str) -> str:
    """An attachment's name by RFC 6266: plain ASCII for those who read no better, and the true one."""
    filename = re.sub(r'[/\\:*?"<>|]', "_", filename).lstrip(" .")
    plain = re.sub(r"[^ -~]", "_", filename).replace("%", "_")
    true = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{true}'


def _is_known(if_none_match: str | None, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in known or "*" in known


def file_responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {media_type.split(";")[0]: {}}
    return {
        200: {"content": content, "description": "The whole file"},
        206: {"content": content, "description": "The range asked for"},
        304: {"description": "Not changed"},
        **problems(404, 409, 416),
    }


for file in FILES:
    router.add_api_route(
        f"/v1/jobs/{{job_id}}/{file.name}",
        _endpoint(file),
        name=file.name,
        summary=file.name,
        response_class=FileResponse,
        responses=file_responses(file.media_type),
    )
