"""The files of finished jobs."""

from collections.abc import Callable, Generator, Iterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from app.api.access import PrincipalDep
from app.api.job_files import JobFile, description_of_file, send_file
from app.api.service import Service, ServiceDep
from app.files.comparison import comparison_csv, comparison_json
from app.files.first_token import first_token_csv, first_token_json
from app.files.massive_tokens import massive_tokens_csv, massive_tokens_json
from app.files.parquet import comparison_parquet, results_parquet, texts_parquet, tokens_parquet
from app.files.results import results_csv, results_json
from app.files.texts import texts_csv, texts_ndjson
from app.files.tokens import require_tokens, tokens_csv
from app.files.transitions import require_transitions, transitions_csv
from app.jobs import store
from app.schemas import JobOut
from app.tables import Job

CSV = "text/csv; charset=utf-8; header=present"
JSON = "application/json"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"


def _table(
    name: str,
    media_type: str,
    write: Callable[[Session, Job], Iterator[str] | Iterator[bytes]],
    require: Callable[[Job], None] = lambda job: None,
) -> JobFile:
    def pieces(service: Service, job_id: UUID) -> Generator[str | bytes, None, None]:
        with service.sessions.begin() as session:
            yield from write(session, store.get_finished(session, job_id))

    return JobFile(name, media_type, pieces, require)


def _document(name: str, write: Callable[[Session, Job, JobOut], Iterator[str]]) -> JobFile:
    """A JSON document, which contains the state of the job."""

    def pieces(service: Service, job_id: UUID) -> Generator[str | bytes, None, None]:
        with service.sessions.begin() as session:
            job = store.get_finished(session, job_id)
            yield from write(session, job, service.present(session, job))

    return JobFile(name, JSON, pieces)


FILES = (
    _table("results.csv", CSV, results_csv),
    _document("results.json", results_json),
    _table("texts.csv", CSV, texts_csv),
    _table("texts.ndjson", NDJSON, texts_ndjson),
    _table("transitions.csv", CSV, transitions_csv, require_transitions),
    _table("comparison.csv", CSV, comparison_csv),
    _document("comparison.json", comparison_json),
    _table("first_token.csv", CSV, first_token_csv),
    _document("first_token.json", first_token_json),
    _table("massive_tokens.csv", CSV, massive_tokens_csv),
    _document("massive_tokens.json", massive_tokens_json),
    _table("tokens.csv", CSV, tokens_csv, require_tokens),
    _table("results.parquet", PARQUET, results_parquet),
    _table("texts.parquet", PARQUET, texts_parquet),
    _table("comparison.parquet", PARQUET, comparison_parquet),
    _table("tokens.parquet", PARQUET, tokens_parquet, require_tokens),
)


def _endpoint(file: JobFile) -> Callable[..., Any]:
    async def read_file(
        job_id: UUID, principal: PrincipalDep, service: ServiceDep, request: Request
    ) -> Response:
        return await send_file(file, job_id, principal, service, request, service.writing)

    return read_file


def _router() -> APIRouter:
    router = APIRouter(tags=["files"])
    for file in FILES:
        router.add_api_route(
            f"/v1/jobs/{{job_id}}/{file.name}",
            _endpoint(file),
            name=file.name,
            summary=file.name,
            response_class=FileResponse,
            **description_of_file(file.media_type),
        )
    return router


router = _router()
