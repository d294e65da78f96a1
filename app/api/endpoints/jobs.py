"""Submits, lists, reads, follows, cancels and deletes jobs."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from structlog.contextvars import bind_contextvars

from app.access.audit import record
from app.access.principal import Principal
from app.api.access import PrincipalDep
from app.api.following import SharedState, shared
from app.api.middleware import HEAD, Parameters, no_parameters, parameters_once
from app.api.openapi import JOB_REQUEST_BODY, LOCATION, RETRY_AFTER, problems
from app.api.request_body import Body, submitted_body
from app.api.service import RETRY_AFTER_SECONDS, Service, ServiceDep
from app.errors import JobNotFound
from app.files import cache
from app.jobs import deletion, store
from app.jobs.shard_plan import ShardSize
from app.jobs.state.model_states import configured, known_models
from app.observation.tracing import current_traceparent
from app.schemas import JobOut, JobPage
from app.submission.address_notes import AddressNotes
from app.submission.rules import KnownModel
from layerscope.names import NAME_PATTERN, Status

LONGEST_WAIT_SECONDS = 60

PARAMETERS_ONCE = [Depends(parameters_once)]
WITHOUT_PARAMETERS = [Depends(no_parameters)]

router = APIRouter(tags=["jobs"])


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="a repeated request with the same key is answered with the job of the first request",
    ),
]


@router.post(
    "/v1/jobs",
    status_code=202,
    responses={
        202: {"headers": LOCATION | RETRY_AFTER},
        200: {
            "model": JobOut,
            "description": "the job of the first request with this key",
            "headers": LOCATION | RETRY_AFTER,
        },
        **problems(400, 403, 408, 409, 413, 415, 429, 507),
    },
    openapi_extra=JOB_REQUEST_BODY,
)
async def create_job(
    principal: PrincipalDep,
    body: Annotated[Body, Depends(submitted_body)],
    service: ServiceDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobOut:
    """Submit texts. The job is stored before the response is sent."""
    store_body = partial(_store, service, principal, body, idempotency_key)
    limiter = service.storing_large_documents if body.is_large_document else service.storing
    state, is_new = await to_thread.run_sync(store_body, limiter=limiter)
    if is_new:
        bind_contextvars(job=str(state.id))
        record("job submitted", principal, state.id)
        await service.notify(state.model.name)
    else:
        response.status_code = 200
    response.headers["Location"] = state.links.self
    _set_retry_after(state, response)
    return state


def _store(service: Service, principal: Principal, body: Body, key: str | None) -> tuple[JobOut, bool]:
    """The state of the job, and whether it is new."""
    settings = service.settings
    with service.sessions.begin() as session:
        known = known_models(session, service.models)
    models = {
        name: KnownModel(facts.get("max_tokens"), facts.get("chat_template")) for name, facts in known.items()
    }
    draft, texts = body.read(key, models, service, principal)
    draft = replace(
        draft,
        owner=principal.owner,
        configured=configured(service.models[draft.model]),
        traceparent=current_traceparent.get(),
    )
    size = ShardSize(settings.shard_characters, settings.shard_texts)
    quotas = None if principal.key_id is None else service.quotas
    addresses = AddressNotes()
    with service.session_of(principal) as session:
        job, is_new = store.submit(session, draft, addresses.noting(texts), size, quotas)
        return service.present(session, job, addresses.sentences()), is_new


def _set_retry_after(state: JobOut, response: Response) -> None:
    if state.finished_at is None:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)


class Listing(Parameters):
    """Which jobs are listed."""

    status: Annotated[Status | None, Query()] = None
    model: Annotated[str | None, Query(pattern=f"^{NAME_PATTERN}$")] = None
    limit: Annotated[int, Query(ge=1, le=100)] = 20
    cursor: Annotated[UUID | None, Query(description="from `next`")] = None


@router.get("/v1/jobs", responses=problems(), dependencies=PARAMETERS_ONCE)
def list_jobs(
    principal: PrincipalDep,
    listing: Annotated[Listing, Query()],
    service: ServiceDep,
    response: Response,
) -> JobPage:
    """Jobs, newest first."""
    with service.session_of(principal) as session:
        found = store.page(
            session,
            status=listing.status,
            model=listing.model,
            limit=listing.limit + 1,
            before=listing.cursor,
        )
        data = service.present_all(session, found[: listing.limit])
    if len(found) == len(data):
        return JobPage(data=data, next=None)
    following = listing.model_copy(update={"cursor": data[-1].id})
    url = "/v1/jobs?" + urlencode(following.model_dump(mode="json", exclude_none=True))
    response.headers["Link"] = f'<{url}>; rel="next"'
    return JobPage(data=data, next=url)


class Waiting(Parameters):
    wait: Annotated[
        float,
        Query(ge=0, le=LONGEST_WAIT_SECONDS, description="seconds to wait until the job is finished"),
    ] = 0


@router.get("/v1/jobs/{job_id}", responses=problems(404), dependencies=PARAMETERS_ONCE)
async def read_job(
    job_id: UUID,
    principal: PrincipalDep,
    service: ServiceDep,
    request: Request,
    response: Response,
    waiting: Annotated[Waiting, Query()],
) -> JobOut:
    """The state of a job. With `wait`, the response waits until the job is finished or the time is over."""
    if waiting.wait > 0:
        state = await service.read_to_wait(job_id, principal)
        if state.finished_at is None:
            with service.waiting.take():
                state = await _wait(service, state, request, waiting.wait)
    else:
        state = await service.read(job_id, principal)
    _set_retry_after(state, response)
    return state


async def _wait(service: Service, state: JobOut, request: Request, seconds: float) -> JobOut:
    """The state when the job is finished, the time is over, or the client has disconnected."""
    async with service.follower.follow(state) as looks:
        async for look in looks(seconds):
            state = _existing(look, state.id)
            if state.finished_at is not None or await request.is_disconnected():
                break
    return state


def _existing(look: SharedState | None, job_id: UUID) -> JobOut:
    if look is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return look.state


async def existing_job(job_id: UUID, principal: PrincipalDep, service: ServiceDep) -> JobOut:
    return await service.read_to_wait(job_id, principal)


async def waiting_slot(service: ServiceDep) -> AsyncIterator[None]:
    """Raises: TooBusy."""
    with service.waiting.take():
        yield


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(404),
    dependencies=WITHOUT_PARAMETERS,
)
async def follow_job(
    state: Annotated[JobOut, Depends(existing_job)],
    _slot: Annotated[None, Depends(waiting_slot)],
    service: ServiceDep,
    request: Request,
) -> AsyncIterator[ServerSentEvent]:
    """An event `progress` with the Job whenever it changes, and an event `finished` at the end."""
    if HEAD not in request.scope:
        async for event in _events(service, state):
            yield event


async def _events(service: Service, state: JobOut) -> AsyncIterator[ServerSentEvent]:
    shown = shared(state)
    yield ServerSentEvent(event="progress", raw_data=shown.json)
    if state.finished_at is None:
        async with service.follower.follow(state) as looks:
            async for look in looks(math.inf):
                if look is None:
                    return
                if look.state != shown.state:
                    shown = look
                    yield ServerSentEvent(event="progress", raw_data=shown.json)
                if shown.state.finished_at is not None:
                    break
    yield ServerSentEvent(event="finished", raw_data=shown.json)


@router.post(
    "/v1/jobs/{job_id}/cancel",
    status_code=202,
    responses=problems(403, 404, 409),
    dependencies=WITHOUT_PARAMETERS,
)
async def cancel_job(
    job_id: UUID, principal: PrincipalDep, service: ServiceDep, response: Response
) -> JobOut:
    """Cancel a job. The results that are already committed are kept."""
    state = await run_in_threadpool(_cancel, service, principal, job_id)
    record("job cancelled", principal, job_id)
    if state.finished_at is None:
        await service.notify(state.model.name)
    _set_retry_after(state, response)
    return state


def _cancel(service: Service, principal: Principal, job_id: UUID) -> JobOut:
    with service.session_of(principal) as session:
        return service.present(session, store.cancel(session, job_id))


@router.delete(
    "/v1/jobs/{job_id}",
    status_code=204,
    response_class=Response,
    responses=problems(403, 404),
    dependencies=WITHOUT_PARAMETERS,
)
def delete_job(job_id: UUID, principal: PrincipalDep, service: ServiceDep) -> None:
    """Delete a job, its texts and its files. A running job is cancelled first."""
    with service.session_of(principal) as session:
        store.delete_job(session, job_id)
    record("job deleted", principal, job_id)
    cache.remove(service.settings.home, job_id)
    deletion.delete_rows(service.sessions, job_id)
