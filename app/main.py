"""Assembles the HTTP service."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID, uuid4

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import Depends, FastAPI, Request
from prometheus_client import CollectorRegistry
from structlog.contextvars import bind_contextvars

from app.api.endpoints import files, jobs, models, pages, plots, system
from app.api.html import static
from app.api.metrics import WorkCollector
from app.api.middleware import RequestMiddleware
from app.api.problems import answer_with_problems
from app.api.service import Service
from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.jobs import deletion, notifications
from app.jobs.periodic import Periodic
from app.models import read_models
from app.resources import model_list_files
from app.settings import Settings

REQUEST_ID = re.compile(r"[!-~]{1,128}")


def create_app(settings: Settings) -> FastAPI:
    """Raises: ConfigurationError."""
    registry = CollectorRegistry()
    service = make_service(settings, registry)
    purging = partial(deletion.purge, service.sessions, settings.home, settings.retention_days)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            notifications.sweeper(service.sessions, service.redis, settings.sweep_seconds),
            Periodic("purge", purging, settings.sweep_seconds),
        ):
            yield
        service.redis.close()
        service.engine.dispose()

    app = FastAPI(
        title="Layerscope",
        summary="How much each layer of a Llama model changes the residual stream, per text and per domain.",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(log_about_job)],
    )
    app.state.service = service
    app.add_middleware(RequestMiddleware, registry=registry)
    app.add_middleware(  # outermost, so that every answer has an id
        CorrelationIdMiddleware,
        header_name="X-Request-Id",
        update_request_header=False,
        generator=lambda: str(uuid4()),
        validator=lambda given: REQUEST_ID.fullmatch(given) is not None,
    )
    answer_with_problems(app)
    for module in (jobs, files, plots, models, pages, system):
        app.include_router(module.router)
    app.mount("/static", static, name="static")
    return app


async def log_about_job(request: Request) -> None:
    """Binds the job of the address to the log lines of the request.

    It is asynchronous so that it runs in the request's own context, which the thread pool then copies.
    """
    with suppress(KeyError, ValueError):
        bind_contextvars(job=str(UUID(request.path_params["job_id"])))


def make_service(settings: Settings, registry: CollectorRegistry) -> Service:
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError("The API needs LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL.")
    engine = make_engine(settings.database_url)
    sessions = make_sessions(engine)
    registry.register(WorkCollector(sessions))
    return Service(
        settings=settings,
        models=read_models(*model_list_files(settings.models)),
        engine=engine,
        sessions=sessions,
        redis=notifications.connect(settings.redis_url, retries=1),
        registry=registry,
    )
