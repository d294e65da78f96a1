"""Health checks, which never need a key."""

from fastapi import APIRouter
from redis import RedisError

from app.api.openapi import problems
from app.api.service import ServiceDep
from app.db import NOT_MIGRATED, is_migrated
from app.errors import NotMigrated
from app.schemas import Health

router = APIRouter(tags=["system"])


@router.get("/health/live", responses=problems(), response_model_exclude_defaults=True)
async def read_liveness() -> Health:
    """The process responds. It answers without a thread: other requests may occupy all of them."""
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
