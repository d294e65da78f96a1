"""Waits until workers have loaded the models of a stack."""

from redis import RedisError
from sqlalchemy import select

from app.db import make_engine, make_sessions
from app.errors import ConfigurationError
from app.jobs import notifications
from app.local.commands import CANNOT_LOAD
from app.local.stack import Stack
from app.local.stop_signals import pause
from app.local.supervisor import Child
from app.settings import Settings
from app.tables import ModelFailure

POLL_SECONDS = 0.2


def wait_until_loaded(stack: Stack) -> None:
    """Raises: ConfigurationError with the reason if a model cannot be loaded and this will not change."""
    settings, supervisor = stack.settings, stack.supervisor
    assert settings.redis_url is not None  # `connected` has set it
    with notifications.connect(settings.redis_url) as redis:
        while True:
            for model, child in stack.workers:
                if _has_given_up(child):
                    raise ConfigurationError(
                        f"The model {model} cannot be loaded: {_reason(settings, model)}"
                    )
            try:
                if {model for model, _ in stack.workers} <= notifications.models_served(redis):
                    return
            except RedisError:  # the supervisor restarts it
                pass
            supervisor.check()
            pause(POLL_SECONDS)


def _has_given_up(child: Child) -> bool:
    return child.process.poll() == CANNOT_LOAD


def _reason(settings: Settings, model: str) -> str:
    """As the worker has recorded it."""
    assert settings.database_url is not None  # `connected` has set it
    engine = make_engine(settings.database_url)
    try:
        with make_sessions(engine).begin() as session:
            reason = session.scalar(select(ModelFailure.reason).where(ModelFailure.name == model))
    finally:
        engine.dispose()
    return reason or "its messages are above."
