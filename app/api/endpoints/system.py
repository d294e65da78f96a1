"""Metrics, and the OpenAPI description with its page."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from app.api.html import HEADERS, render
from app.api.observation.exposition import exposition
from app.api.openapi import describe, problems
from app.api.service import ServiceDep

# Redoc inserts its rules by script into empty style elements, and has one more style element. Only these two
# are allowed, by the hash of their content. Its icons are in its styles, and it searches in a
# worker that it makes from a blob.
STYLES_OF_REDOC = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
CSP_OF_REFERENCE = (
    HEADERS["Content-Security-Policy"]
    .replace("style-src 'self'", f"style-src 'self' {' '.join(STYLES_OF_REDOC)}; worker-src blob:")
    .replace("img-src 'self'", "img-src 'self' data:")
)

router = APIRouter(tags=["system"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}, **problems()},
)
def read_metrics(request: Request, service: ServiceDep) -> Response:
    """Metrics for Prometheus, in the text format or, if the request accepts it, as OpenMetrics."""
    return exposition(service.registry, request.headers.get("Accept", ""))


@router.get("/openapi.json", include_in_schema=False)
def read_description(request: Request) -> dict[str, Any]:
    return _description(request)


@router.get("/docs", include_in_schema=False)
def read_docs(request: Request) -> HTMLResponse:
    answer = render("docs.html", spec=_description(request))
    answer.headers["Content-Security-Policy"] = CSP_OF_REFERENCE
    return answer


def _description(request: Request) -> dict[str, Any]:
    app: FastAPI = request.app
    return describe(app)
