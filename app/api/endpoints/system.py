"""Metrics, and the OpenAPI description with its page."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.html import render
from app.api.openapi import describe, problems
from app.api.service import ServiceDep

router = APIRouter(tags=["system"])


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **problems()}
)
def read_metrics(service: ServiceDep) -> Response:
    """Metrics for Prometheus."""
    return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
def read_description(request: Request) -> dict[str, Any]:
    return _description(request)


@router.get("/docs", include_in_schema=False)
def read_docs(request: Request) -> HTMLResponse:
    return render("docs.html", spec=_description(request))


def _description(request: Request) -> dict[str, Any]:
    app: FastAPI = request.app
    return describe(app)
