"""What the endpoints work with. It is created when the service starts."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import store
from app.jobs.view import present_one
from app.models import ModelConfig
from app.schemas import JobOut
from app.settings import Settings
from app.tables import Job

RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True)
class Service:
    settings: Settings
    models: dict[str, ModelConfig]
    engine: Engine
    sessions: sessionmaker[Session]
    redis: Redis
    registry: CollectorRegistry
    # By path. A lock disappears with the last request that holds it or waits for it.
    file_locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def present(self, session: Session, job: Job) -> JobOut:
        return present_one(session, job, self.models)

    def read(self, job_id: UUID) -> JobOut:
        """Raises: JobNotFound."""
        with self.sessions.begin() as session:
            return self.present(session, store.get(session, job_id))


def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
