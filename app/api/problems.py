"""Every error as RFC 9457 problem+json, the framework's own included."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError, ProgrammingError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.service import RETRY_AFTER_SECONDS
from app.db import AWAY
from app.errors import (
    DatabaseUnavailable,
    InputError,
    InvalidRequest,
    JobNotFinished,
    JobNotFound,
    LayerscopeError,
    NotMigrated,
    ProblemError,
)
from app.submission.json_document import sentence

MEDIA_TYPE = "application/problem+json"
MISSING_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
RETRIED = (DatabaseUnavailable, JobNotFinished, NotMigrated)

log = logging.getLogger(__name__)


def answer_with_problems(app: FastAPI) -> None:
    app.add_exception_handler(ProblemError, _of_ours)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(ClientDisconnect, _of_broken_off)
    for away in (*AWAY, psycopg.OperationalError):
        app.add_exception_handler(away, _of_database)
    app.add_exception_handler(ProgrammingError, _of_database)


def problem_response(error: ProblemError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(error, RETRIED) else {}
    return _response(error.status, error.title, error.code, error.detail, error, headers | error.headers)


def internal_error() -> Response:
    detail = "The service failed here. Its log says more under the X-Request-Id of this answer."
    return _of_status(500, detail, {})


def _response(
    status: int, title: str, code: str, detail: str, error: LayerscopeError, headers: Mapping[str, str]
) -> Response:
    problem: dict[str, Any] = {
        "type": f"urn:layerscope:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if error.errors:
        problem["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in error.errors]
    # A name out of the request may stand here, with half a surrogate pair in it.
    body = json.dumps(problem, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers, MEDIA_TYPE)


def _of_status(status: int, detail: str, headers: Mapping[str, str]) -> Response:
    title = HTTPStatus(status).phrase
    code = title.lower().replace(" ", "-")
    return _response(status, title, code, detail, LayerscopeError(detail), headers)


def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error)


def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}."
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
        detail = f"{request.url.path} understands {headers['Allow']}."
    return _of_status(error.status_code, detail, headers)


def _allowed(request: Request) -> list[str]:
    """Starlette names the methods of one route only, where several share a path."""
    routes = iter_route_contexts(request.app.routes)
    here = [route.methods or set() for route in routes if route.path_regex.match(request.url.path)]
    methods = set().union(*here)
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _of_broken_off(request: Request, error: Exception) -> Response:
    return _of_status(400, "The body ended before its end.", {})


def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(error["loc"][0] == "path" for error in error.errors()):
        return problem_response(JobNotFound(f"There is nothing at {request.url.path}: no id stands there."))
    errors = [InputError(_place(*error["loc"]), sentence(error)) for error in error.errors()]
    return problem_response(InvalidRequest("The request is wrong in its parameters.", errors[:20]))


def _place(kind: str, *path: str | int) -> str:
    name = ".".join(map(str, path))
    return f"?{name}" if kind == "query" else name


def _of_database(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and isinstance(error.orig, MISSING_TABLE):
        return problem_response(NotMigrated("The database has not the tables of this version."))
    if isinstance(error, ProgrammingError):
        raise error
    reason = error.orig if isinstance(error, DBAPIError) else error
    log.warning("the database is away: %s", str(reason).partition("\n")[0])
    return problem_response(DatabaseUnavailable("The database can't be reached; nothing was changed."))
