"""Assembles the HTTP service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from app.access.audit import record_expired_job
from app.api.access import principal_of
from app.api.endpoints import archive, files, health, jobs, models, plots, system
from app.api.html import static
from app.api.middleware import add_middleware, limit_requests, log_about_job, no_parameters
from app.api.observation.request_traces import trace_requests
from app.api.observation.work_metrics import WorkCollector
from app.api.openapi import problems
from app.api.origin import add_origin_checks
from app.api.pages import (
    compare_page,
    home,
    job_page,
    jobs_page,
    models_page,
    new_job,
    page_session,
    text_pages,
)
from app.api.problems import answer_with_problems
from app.api.service import THREADS_FOR_REQUESTS, Service
from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.files import cache
from app.jobs import deletion, notifications
from app.jobs.periodic import Periodic
from app.models import read_models
from app.observation.sweeps import SweepCounter
from app.observation.tracing import start_tracing
from app.resources import model_list_files
from app.settings import Settings

REDIS_SECONDS = 1.5  # a request tries twice, and is answered although Redis does not respond
# FastAPI's own traces would contain the query of each request, for example the name of a job.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(settings: Settings) -> FastAPI:
    """Raises: ConfigurationError."""
    registry = CollectorRegistry()
    service = make_service(settings, registry)
    sweeps = SweepCounter(registry)
    tracing = start_tracing(settings.traces_endpoint, "layerscope-api")
    purging = partial(
        deletion.purge, service.sessions, settings.home, settings.retention_days, record_expired_job
    )

    def shrink_cache() -> bool:
        cache.shrink(settings.home, settings.files_limit_bytes)
        return False

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limit_threads()
        with (
            notifications.sweeper(service.sessions, service.redis, settings.sweep_seconds, sweeps.count),
            Periodic("purge", purging, settings.sweep_seconds),
            Periodic("file cache", shrink_cache, settings.sweep_seconds),
        ):
            yield
        await close(service)
        if tracing is not None:
            await run_in_threadpool(tracing.close)

    app = FastAPI(
        title="Layerscope",
        summary="How much each layer of a language model changes the residual stream.",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(log_about_job)],
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    limit_requests(app, service.requests)
    add_origin_checks(app, settings.allowed_hosts)
    trace_requests(app, tracing)
    add_middleware(app, registry)
    answer_with_problems(app)
    _include_routers(app, settings.protect_system)
    app.mount("/static", static, name="static")
    return app


def _include_routers(app: FastAPI, protect_system: bool) -> None:
    key = Depends(principal_of)  # before the dependencies of the endpoints, which read the body
    no_query = Depends(no_parameters)
    refusals = problems(401, 403, 429)
    app.include_router(jobs.router, dependencies=[key], responses=refusals)
    for module in (files, archive, plots, models):
        app.include_router(module.router, dependencies=[key, no_query], responses=refusals)
    if protect_system:
        app.include_router(system.router, dependencies=[key, no_query], responses=refusals)
    else:
        app.include_router(system.router, dependencies=[no_query])
    for module in (
        compare_page,
        home,
        job_page,
        jobs_page,
        text_pages,
    ):  # their query parameters are those of their models
        app.include_router(module.router)
    for module in (models_page, page_session, new_job, health):
        app.include_router(module.router, dependencies=[no_query])


async def close(service: Service) -> None:
    await service.follower.close()  # otherwise a look in progress would keep a connection of the engine
    service.drawing_process.close()
    service.reports.close()
    service.redis.close()
    service.engine.dispose()


def limit_threads() -> None:
    """Python runs one thread at a time. If 40 of them read the database, as many as AnyIO permits, the event
    loop gets a 41st of the time, and health checks wait."""
    current_default_thread_limiter().total_tokens = THREADS_FOR_REQUESTS


def make_service(settings: Settings, registry: CollectorRegistry) -> Service:
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError(
            "The API needs LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL: set both or use `layerscope up`."
        )
    engine = make_engine(settings.database_url)
    sessions = make_sessions(engine)
    redis = notifications.connect(settings.redis_url, retries=1, seconds=REDIS_SECONDS)
    models = read_models(*model_list_files(settings.models))
    registry.register(WorkCollector(sessions, redis, models))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return Service(
        settings=settings,
        models=models,
        engine=engine,
        sessions=sessions,
        redis=redis,
        registry=registry,
    )
