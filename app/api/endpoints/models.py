"""The configured models."""

from fastapi import APIRouter
from redis import RedisError

from app.api.openapi import problems
from app.api.service import Service, ServiceDep
from app.jobs import notifications, store
from app.jobs.view import describe_model, known_models
from app.schemas import ConfiguredModel, Models

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problems())
def list_models(service: ServiceDep) -> Models:
    """What can be asked for, and who is there to answer."""
    with service.sessions.begin() as session:
        known = known_models(session, service.models)
        queued = store.queued_by_model(session)
    alive = _workers_alive(service)
    data = [
        ConfiguredModel(
            **describe_model(name, facts).model_dump(),
            max_tokens=facts["max_tokens"],
            workers_alive=alive.get(name),
            jobs_queued=queued.get(name, 0),
        )
        for name, facts in known.items()
    ]
    return Models(data=data)


def _workers_alive(service: Service) -> dict[str, int]:
    try:
        return {name: notifications.workers_alive(service.redis, name) for name in service.models}
    except RedisError:
        return {}
