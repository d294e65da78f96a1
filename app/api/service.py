"""What the endpoints work with. It is created when the service starts."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated
from uuid import UUID
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.access.authentication import Authentication
from app.access.own_jobs import OwnJobs
from app.access.principal import LOCAL, Principal
from app.access.request_rate import RequestRate
from app.api.following import Follower
from app.api.joint_reads import JointReads
from app.api.limits.connections import requests_in_progress, waiting_clients
from app.api.limits.slots import Slots
from app.errors import JobNotFound
from app.jobs import notifications, store
from app.jobs.quotas import Quotas
from app.jobs.reports import Reports
from app.jobs.view import present, present_one
from app.models import ModelConfig
from app.plots.drawing_process import DrawingProcess
from app.schemas import JobOut
from app.settings import Settings
from app.tables import Job

RETRY_AFTER_SECONDS = 2
SPOOLING_THREADS = 4
REPORTS_TIMEOUT = 0.25  # seconds; what workers report is only information
WRITING_FILES = 2
THREADS_FOR_REQUESTS = 8
THREADS_FOR_REDIS = 40


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

    @cached_property
    def authentication(self) -> Authentication:
        return Authentication(self.sessions, self._rate("invalid keys", "invalid_keys_per_minute"))

    @cached_property
    def request_rate(self) -> RequestRate:
        return self._rate("requests", "owner_requests_per_minute")

    def _rate(self, what: str, setting: str) -> RequestRate:
        assert self.settings.redis_url is not None  # create_app requires it
        limit = getattr(self.settings, setting)
        return RequestRate(self.redis, self.settings.redis_url, limit, what, setting)

    @cached_property
    def quotas(self) -> Quotas:
        """The limits of every owner of a key."""
        settings = self.settings
        return Quotas(
            live_jobs=settings.owner_live_jobs_limit,
            queued_texts=settings.owner_queued_texts_limit,
            stored_bytes=settings.owner_stored_bytes_limit,
        )

    @cached_property
    def own_jobs(self) -> OwnJobs:
        return OwnJobs(self.engine)

    @cached_property
    def uploads(self) -> Slots:
        what = "Too many submissions are arriving at the moment"
        return Slots(self.settings.uploads_limit, what, "uploads_limit")

    @cached_property
    def documents(self) -> Slots:
        what = "Too many bytes of JSON are being read at the moment"
        return Slots(self.settings.documents_limit_bytes, what, "documents_limit_bytes")

    @cached_property
    def requests(self) -> Slots:
        what = "Too many requests are in progress at the moment"
        return Slots(requests_in_progress(self.settings), what, "connections_limit")

    @cached_property
    def waiting(self) -> Slots:
        what = "Too many clients are waiting for jobs at the moment"
        return Slots(waiting_clients(self.settings), what, "waiting_limit")

    @cached_property
    def storing(self) -> CapacityLimiter:
        """The threads that write submissions to the database."""
        return CapacityLimiter(self.settings.submissions_limit)

    @cached_property
    def storing_large_documents(self) -> CapacityLimiter:
        """The thread that reads and writes large JSON bodies. It needs Python for seconds; several at a time
        would delay all other requests and would not be faster."""
        return CapacityLimiter(1)

    @cached_property
    def asking_redis(self) -> CapacityLimiter:
        """The threads that count requests in Redis and notify workers. If it does not answer, other requests
        still have theirs."""
        return CapacityLimiter(THREADS_FOR_REDIS)

    @cached_property
    def spooling(self) -> CapacityLimiter:
        """The threads that write bodies to disk."""
        return CapacityLimiter(SPOOLING_THREADS)

    @cached_property
    def waiting_for_files(self) -> Slots:
        what = "Too many files and plots are being written at the moment"
        return Slots(self.settings.files_waiting_limit, what, "files_waiting_limit")

    @cached_property
    def writing(self) -> CapacityLimiter:
        """Files of jobs that are written at the same time."""
        return CapacityLimiter(WRITING_FILES)

    @cached_property
    def drawing(self) -> CapacityLimiter:
        """Plots that are drawn at the same time, by the one process for them."""
        return CapacityLimiter(1)

    @cached_property
    def drawing_process(self) -> DrawingProcess:
        return DrawingProcess(self.settings.drawing_seconds)

    @cached_property
    def follower(self) -> Follower:
        return Follower(self.read_all)

    @cached_property
    def joint_reads(self) -> JointReads:
        return JointReads(self.read_all)

    @cached_property
    def reports(self) -> Reports:
        # A request that also notifies workers would wait twice for a Redis that does not answer.
        assert self.settings.redis_url is not None  # create_app requires it
        return Reports(notifications.connect(self.settings.redis_url, seconds=REPORTS_TIMEOUT))

    async def notify(self, model: str) -> None:
        """Tells the workers of a model that there is work, if Redis answers."""
        await to_thread.run_sync(notifications.notify, self.redis, model, limiter=self.asking_redis)

    def present(self, session: Session, job: Job, notes: Sequence[str] = ()) -> JobOut:
        return present_one(session, job, self.models, self.reports, notes)

    def present_all(self, session: Session, jobs: Sequence[Job]) -> list[JobOut]:
        return present(session, jobs, self.models, self.reports)

    def session_of(self, principal: Principal) -> AbstractContextManager[Session]:
        """A transaction in which only the jobs exist that the principal may see."""
        return self.own_jobs.begin(principal)

    async def read(self, job_id: UUID, principal: Principal) -> JobOut:
        """The state of a job. Raises: JobNotFound."""
        state = await self.joint_reads.read(job_id, principal)
        if state is None:
            raise JobNotFound(f"There is no job {job_id}.")
        return state

    async def read_to_wait(self, job_id: UUID, principal: Principal) -> JobOut:
        """The state of a job, at the latest look if other clients wait for it.

        Raises: JobNotFound.
        """
        state = self.follower.latest(job_id)
        if state is None:
            return await self.read(job_id, principal)
        if not principal.sees_all_jobs:
            await run_in_threadpool(self._check_exists, job_id, principal)
        return state

    def _check_exists(self, job_id: UUID, principal: Principal) -> None:
        with self.session_of(principal) as session:
            store.get(session, job_id)

    def read_all(self, job_ids: Collection[UUID], principal: Principal = LOCAL) -> dict[UUID, JobOut]:
        """The states of those of the jobs that exist and that the principal may see."""
        with self.session_of(principal) as session:
            states = self.present_all(session, store.visible(session, job_ids))
        return {state.id: state for state in states}


async def _service_of(request: Request) -> Service:  # async, because FastAPI runs others in a thread
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
