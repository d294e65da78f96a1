"""Answers every error, including those of the framework, with a problem object (RFC 9457)."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError, ProgrammingError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.pages.error_page import for_reader
from app.api.service import RETRY_AFTER_SECONDS
from app.db import NOT_MIGRATED, UNAVAILABLE
from app.errors import (
    PROBLEM_TYPE,
    BodyTimeout,
    DatabaseUnavailable,
    JobNotFinished,
    JobNotFound,
    NotMigrated,
    Problem,
    ProblemError,
    TooBusy,
)
from app.submission.input_errors import InputErrors, shortened
from app.submission.rules import message
from layerscope.unknown_names import unknown

MEDIA_TYPE = "application/problem+json"
MISSING_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
RETRIED = (BodyTimeout, DatabaseUnavailable, JobNotFinished, NotMigrated, TooBusy)

Handler = Callable[[Request, Exception], Response]

log = logging.getLogger(__name__)


def answer_with_problems(app: FastAPI) -> None:
    handlers: dict[type[Exception], Handler] = {
        ProblemError: _on_problem,
        HTTPException: _on_http_error,
        RequestValidationError: _on_invalid_parameters,
        ClientDisconnect: _on_disconnect,
        **dict.fromkeys((*UNAVAILABLE, psycopg.OperationalError, ProgrammingError), _on_database_error),
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, partial(_answer, handler))


def _answer(handler: Handler, request: Request, error: Exception) -> Response:
    return for_reader(request, handler(request, error))


def problem_response(error: ProblemError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(error, RETRIED) else {}
    return _response(error.problem, headers | error.headers)


def internal_error() -> Response:
    detail = "The service failed. Its log has the details, marked with the X-Request-Id of this response."
    return _status_response(500, detail)


def _response(problem: Problem, headers: Mapping[str, str]) -> Response:
    # A name from the request may contain half of a surrogate pair, which UTF-8 cannot encode.
    body = json.dumps(problem.to_dict(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, problem.status, headers, MEDIA_TYPE)


def _status_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    title = HTTPStatus(status).phrase
    problem = Problem(PROBLEM_TYPE + title.lower().replace(" ", "-"), title, status, detail)
    return _response(problem, headers or {})


def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}."
    elif error.status_code == 405:
        methods = _allowed_methods(request)
        headers["Allow"] = ", ".join(methods)
        detail = f"{request.url.path} supports {_listed(methods)}."
    return _status_response(error.status_code, detail, headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes that match the path. Starlette names only those of one route."""
    routes = iter_route_contexts(request.app.routes)
    here = [route.methods or set() for route in routes if route.path_regex.match(request.url.path)]
    methods = set().union(*here)
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _listed(names: list[str]) -> str:
    """As a list in a sentence: "GET, HEAD and POST"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _on_disconnect(request: Request, error: Exception) -> Response:
    return _status_response(400, "The connection was closed before the end of the body.")


def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = InputErrors()
    for found in error.errors():
        kind, *path = found["loc"]
        if kind == "path":
            return problem_response(JobNotFound(f"{shortened(found['input'])!r} is not a valid job id."))
        name = ".".join(map(str, path))
        if kind == "query" and found["type"] == "extra_forbidden":
            known = _query_parameters(request.scope["route"].dependant)
            errors.add_at(f"?{name}", unknown("parameter", name, known))
        else:
            errors.add_at(f"?{name}" if kind == "query" else name, message(found))
    return problem_response(errors.to_exception())


def _query_parameters(dependant: Dependant) -> list[str]:
    """The names that a call accepts, those of its dependencies included. A model stands for its members."""
    names: list[str] = []
    for parameter in dependant.query_params:
        names += getattr(parameter.field_info.annotation, "model_fields", [parameter.alias])
    for dependency in dependant.dependencies:
        names += _query_parameters(dependency)
    return names


def _on_database_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and isinstance(error.orig, MISSING_TABLE):
        return problem_response(NotMigrated(NOT_MIGRATED))
    if isinstance(error, ProgrammingError):
        raise error
    reason = error.orig if isinstance(error, DBAPIError) else error
    log.warning("the database is unavailable: %s", str(reason).partition("\n")[0])
    return problem_response(DatabaseUnavailable("The database cannot be reached. Nothing was changed."))
