"""An idempotency key belongs to an owner."""

from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.errors import IdempotencyKeyReused
from app.jobs import store
from app.jobs.shard_plan import ShardSize
from app.jobs.store import Draft
from tests.support.jobs.jobs_by_hand import MODEL, OPTIONS


def submit(sessions: sessionmaker[Session], owner: str, text: str) -> tuple[UUID, bool]:
    draft = Draft(MODEL, options=OPTIONS, idempotency_key="1", owner=owner)
    with sessions.begin() as session:
        job, is_new = store.submit(session, draft, [("a", text)], ShardSize(100, 100))
        assert job.owner == owner
        return job.id, is_new


def test_owners_can_use_the_same_key(sessions: sessionmaker[Session]) -> None:
    first, _ = submit(sessions, "alice", "a")
    assert submit(sessions, "bob", "b")[1]
    assert submit(sessions, "alice", "a") == (first, False)
    with pytest.raises(IdempotencyKeyReused, match=str(first)):
        submit(sessions, "alice", "b")
