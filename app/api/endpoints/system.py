"""Health, metrics, and the OpenAPI description with its page."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import RedisError

from app.api.html import render
from app.api.openapi import describe, problems
from app.api.service import ServiceDep
from app.db import NOT_MIGRATED, is_migrated
from app.errors import NotMigrated
from app.schemas import Health

router = APIRouter(tags=["system"])


@router.get("/health/live", response_model_exclude_defaults=True)
def read_liveness() -> Health:
    """The process responds."""
    return Health(status="live")


@router.get("/health/ready", responses=problems(), response_model_exclude_defaults=True)
def read_readiness(service: ServiceDep) -> Health:
    """The service accepts jobs. It also accepts them while Redis is unavailable; they then start later."""
    with service.engine.connect() as connection:
        if not is_migrated(connection):
            raise NotMigrated(NOT_MIGRATED)
    try:
        service.redis.ping()
    except RedisError:
        return Health(status="ready", degraded=["redis"])
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
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
