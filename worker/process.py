"""A worker process: loads its model once, then works on its queue until a stop signal."""

import argparse
import logging
import os
import threading
import time

from app import logs
from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.jobs import notifications
from app.local.commands import CANNOT_LOAD
from app.local.migrations import wait_until_migrated
from app.models import read_models, require_model
from app.observation.tracing import start_tracing
from app.resources import model_list_files, model_list_location
from app.settings import Settings
from layerscope.core.loading.process_setup import settle_threads
from layerscope.errors import ModelError
from worker.load_failure import wait_or_fail
from worker.observation.metrics import WorkerMetrics
from worker.observation.metrics_server import serve_metrics
from worker.observation.observation import Observation
from worker.runtime.context import WorkerContext
from worker.runtime.model_loading import load
from worker.runtime.reporting import loading
from worker.runtime.rq_worker import run_worker
from worker.runtime.shutdown import ShutdownDeadline
from worker.tasks import set_context

NICENESS = 10  # a worker that uses all processors would otherwise delay every request

log = logging.getLogger("worker")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="worker", description=__doc__)
    arguments.add_argument("--model", required=True, help="the name of a model in models.toml")
    name = arguments.parse_args().model
    if hasattr(os, "nice"):  # not on Windows; before the first thread, which inherits it
        os.nice(NICENESS)
    logs.configure()
    try:
        return run(name, Settings())
    except ConfigurationError as error:
        log.error("%s", error.detail)
        return 1


def run(name: str, settings: Settings) -> int:
    """Work until a stop signal. Returns the exit code: 0; 1 or CANNOT_LOAD if the model cannot be loaded."""
    settle_threads()
    models = read_models(*model_list_files(settings.models))
    require_model(name, models, model_list_location(settings.models))
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError("A worker needs LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL.")
    sessions = make_sessions(
        make_engine(settings.database_url, pool_size=5, idle_in_transaction_seconds=settings.lease_seconds)
    )
    redis = notifications.connect(settings.redis_url)
    metrics = WorkerMetrics(name)
    tracing = start_tracing(settings.traces_endpoint, "layerscope-worker")
    if settings.worker_metrics_port is not None:
        host, port = settings.worker_metrics_host, settings.worker_metrics_port
        serve_metrics(metrics.registry, host, port, lambda: metrics.is_loaded)
    wait_until_migrated(settings)
    started = time.perf_counter()
    try:
        with loading(redis, name):
            model, facts = load(name, models[name], sessions)
    except ModelError as error:
        log.error("%s", error)
        may_pass = wait_or_fail(sessions, redis, name, models[name], error, settings.model_wait_seconds)
        return 1 if may_pass else CANNOT_LOAD
    metrics.loaded(model.module, time.perf_counter() - started)
    context = WorkerContext(
        name=name,
        model=model,
        measured_with=facts,
        max_tokens=facts["max_tokens"],
        sessions=sessions,
        redis=redis,
        deadline=ShutdownDeadline(threading.Event(), settings.stop_seconds),
        lease_seconds=settings.lease_seconds,
        drain_seconds=settings.drain_seconds,
        model_wait_seconds=settings.model_wait_seconds,
        observation=Observation(name, metrics, tracing),
    )
    set_context(context)
    redis_with_retries = notifications.connect(settings.redis_url, retries=10)
    with notifications.sweeper(sessions, redis, settings.sweep_seconds, metrics.sweeps.count):
        notifications.notify(redis, name)
        run_worker(notifications.queue_of(redis_with_retries, name), context.deadline.stopping)
    return 0
