"""The configured models."""

from collections.abc import Mapping

from fastapi import APIRouter
from redis import RedisError

from app.api.access import PrincipalDep
from app.api.openapi import problems
from app.api.service import Service, ServiceDep
from app.jobs import counts, notifications
from app.jobs.state.model_states import known_models
from app.jobs.view import describe_model
from app.schemas import ConfiguredModel, ModelList

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problems())
def list_models(principal: PrincipalDep, service: ServiceDep) -> ModelList:
    """The configured models, with their workers and the queued jobs of the owner."""
    with service.session_of(principal) as session:
        known = known_models(session, service.models)
        queued = counts.queued_jobs_by_model(session)
    alive = workers_alive(service)
    data = [
        ConfiguredModel(
            **describe_model(name, facts).model_dump(),
            max_tokens=facts["max_tokens"],
            workers_alive=alive.get(name),
            jobs_queued=queued.get(name, 0),
        )
        for name, facts in known.items()
    ]
    return ModelList(data=data)


def workers_alive(service: Service) -> Mapping[str, int]:
    """By configured model. Empty if Redis is unavailable."""
    try:
        alive = notifications.workers_by_model(service.redis)
    except RedisError:
        return {}
    return {name: alive[name] for name in service.models}
