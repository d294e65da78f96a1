"""A finished job whose texts were measured by a real model in this process."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import shards, store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft, PostedText
from layerscope.core import Model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS, must_claim
from worker.finalization.finalize import finalize_jobs
from worker.measurement.shard import measure, new_work
from worker.observation.step_times import StepTimes
from worker.runtime.lease import Lease


def measured_job(
    model: Model, sessions: sessionmaker[Session], redis: Redis, texts: Sequence[PostedText], **options: Any
) -> UUID:
    with sessions.begin() as session:
        draft = Draft(model=MODEL, options=OPTIONS | options)
        job_id = store.submit(session, draft, texts, ShardSize(10**9, 10**6))[0].id
    context, claim = context_of(model, sessions, redis), must_claim(sessions)
    with sessions.begin() as session:
        stored = shards.texts(session, claim)
    with Lease(context, claim) as lease:
        measured = measure(context, claim, stored, lease, new_work(context, claim, stored, StepTimes()))
    with sessions.begin() as session:
        shards.commit(session, claim, measured)
    finalize_jobs(sessions, MODEL)
    return job_id
