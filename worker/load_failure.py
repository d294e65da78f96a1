"""What happens to the jobs of a model that this process cannot load: they wait for it, or they fail."""

from datetime import timedelta

from redis import Redis, RedisError
from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK
from app.errors import ModelUnavailable
from app.jobs import completion, notifications
from app.models import ModelConfig
from app.tables import Job, LoadedModel, ModelFailure
from layerscope.errors import HubUnavailable, ModelError, ModelNotFound
from worker.finalization.finalize import finalize_jobs


def wait_or_fail(
    sessions: sessionmaker[Session],
    redis: Redis,
    name: str,
    config: ModelConfig,
    error: ModelError,
    wait_seconds: float,
) -> bool:
    """Whether this cause may pass.

    If so, the unfinished jobs of the model fail after `wait_seconds`, otherwise immediately. They are left
    alone if another worker has loaded the model or may have. Committed results are kept.
    """
    if not _is_alone(redis, name):
        return True
    with sessions.begin() as session:
        _record(session, name, str(error), wait_seconds)
        which, detail = Job.model == name, str(error)
        may_pass = _may_pass(session, name, config, error)
        if may_pass:
            since = select(ModelFailure.since).where(ModelFailure.name == name).scalar_subquery()
            which &= func.greatest(since, Job.created_at) < CLOCK - timedelta(seconds=wait_seconds)
            detail += f" The job waited {wait_seconds:g} seconds (setting LAYERSCOPE_MODEL_WAIT_SECONDS)."
        completion.mark_failed(session, which, ModelUnavailable(detail))
    finalize_jobs(sessions, name)
    return may_pass


def _is_alone(redis: Redis, name: str) -> bool:
    try:
        return notifications.workers_by_model(redis)[name] == 0
    except RedisError:
        return False


def _record(session: Session, name: str, reason: str, wait_seconds: float) -> None:
    """Record the failure. It is a new one if nobody tried to load the model for `wait_seconds`."""
    old = ModelFailure.last_at < CLOCK - timedelta(seconds=wait_seconds)
    row = insert(ModelFailure).values(name=name, reason=reason)
    update = {"reason": reason, "last_at": CLOCK, "since": case((old, CLOCK), else_=ModelFailure.since)}
    session.execute(row.on_conflict_do_update(index_elements=["name"], set_=update))


def _may_pass(session: Session, name: str, config: ModelConfig, error: ModelError) -> bool:
    """Whether the hub does not answer, or a model is missing that was once loaded from this source."""
    if isinstance(error, HubUnavailable):
        return True
    loaded = session.get(LoadedModel, name)
    was_there = loaded is not None and loaded.measured_with.get("source") == config.source
    return was_there and isinstance(error, ModelNotFound)
