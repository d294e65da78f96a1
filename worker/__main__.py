"""`python -m worker --model NAME`: loads the model once, then works its one queue until a signal."""

import argparse
import importlib.metadata
import logging
import sys
import threading
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app import queue, shards
from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.models import ModelConfig, read_models
from app.settings import Settings
from app.tables import CLOCK
from app.tables import Model as ModelRow
from worker.closing import close
from worker.core import Model, ModelError, load_model
from worker.core.demo import ensure_demo_model
from worker.resident import ResidentWorker
from worker.station import Station
from worker.tasks import occupy

DEMO = "demo"

log = logging.getLogger("worker")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="worker", description=__doc__)
    arguments.add_argument("--model", required=True, help="a table of models.toml")
    name = arguments.parse_args().model
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        return run(name, Settings())
    except ConfigurationError as error:
        print(error.detail, file=sys.stderr)
        return 1


def run(name: str, settings: Settings) -> int:
    """Work until a signal: 0; 1 where the model can't be loaded or Redis fails for good."""
    models = read_models(settings.models)
    if name not in models:
        raise ConfigurationError(f"{settings.models} lists no model {name!r}, only {', '.join(models)}.")
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError("A worker needs LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL.")
    sessions = make_sessions(
        make_engine(settings.database_url, pool_size=5, idle_in_transaction_seconds=settings.lease_seconds)
    )
    redis = queue.connect(settings.redis_url)
    try:
        model = _load(models[name], settings)
    except ModelError as error:
        log.error("%s", error)
        if queue.workers_alive(redis, name) == 0:
            fail_jobs(sessions, name, str(error))
        return 1
    station = _station(name, model, models[name], sessions, redis, settings)
    occupy(station)
    worker = ResidentWorker(queue.queue_of(redis, name), station.stopping)
    with queue.Sweeper(sessions, redis, settings.sweep_seconds):
        queue.ring(redis, name)
        worker.work(logging_level="WARNING")
    return 0 if station.stopping.is_set() else 1


def _load(config: ModelConfig, settings: Settings) -> Model:
    source = config.source
    if source == DEMO:
        source = str(ensure_demo_model(settings.home / "models" / DEMO))
    elif (folder := settings.models.parent / source).is_dir():
        source = str(folder)
    return load_model(source, config.revision, config.dtype, config.device)


def _station(
    name: str,
    model: Model,
    config: ModelConfig,
    sessions: sessionmaker[Session],
    redis: Any,
    settings: Settings,
) -> Station:
    measured_with = _describe(model, config)
    with sessions.begin() as session:
        row = insert(ModelRow).values(name=name, measured_with=measured_with)
        session.execute(
            row.on_conflict_do_update(
                index_elements=[ModelRow.name], set_={"measured_with": measured_with, "loaded_at": CLOCK}
            )
        )
    return Station(
        name=name,
        model=model,
        measured_with=measured_with,
        max_tokens=measured_with["max_tokens"],
        sessions=sessions,
        redis=redis,
        stopping=threading.Event(),
        lease_seconds=settings.lease_seconds,
        drain_seconds=settings.drain_seconds,
        stop_seconds=settings.stop_seconds,
    )


def _describe(model: Model, config: ModelConfig) -> dict[str, Any]:
    """What this process measures with; the source as configured, never a path of this machine."""
    packages = ("layerscope", "torch", "transformers", "numpy")
    return {
        "source": config.source,
        "revision": model.revision,
        "layers": model.layers,
        "hidden_size": model.hidden_size,
        "dtype": model.dtype,
        "device": model.device,
        "max_tokens": min(config.max_tokens or model.max_tokens, model.max_tokens),
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }


def fail_jobs(sessions: sessionmaker[Session], model: str, detail: str) -> None:
    """Fail the unfinished jobs of a model that can't be loaded."""
    problem = {
        "type": "urn:layerscope:problem:model-unavailable",
        "title": "The model can't be loaded",
        "status": 503,
        "detail": detail,
    }
    with sessions.begin() as session:
        for job in shards.unfinished_jobs(session, model):
            close(session, job, problem)


if __name__ == "__main__":
    sys.exit(main())
