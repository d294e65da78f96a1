"""Owners have equal shares of the workers, however many jobs they have."""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.tables import Job
from tests.support.jobs.jobs_by_hand import must_claim, submit

CLAIMS = 80
FEWEST = 20  # an owner has so few of 80 claims once in a million times


def test_an_owner_with_one_job_does_not_wait_for_one_with_many(sessions: sessionmaker[Session]) -> None:
    for _ in range(50):
        submit(sessions, [("a", "b")] * 3, texts_per_shard=1, owner="alice")
    submit(sessions, [("a", "b")] * CLAIMS, texts_per_shard=1, owner="bob")
    claimed = [must_claim(sessions).job_id for _ in range(CLAIMS)]
    with sessions() as session:
        owners = {row.id: row.owner for row in session.execute(select(Job.id, Job.owner))}
    shares = Counter(owners[job_id] for job_id in claimed)
    assert min(shares["alice"], shares["bob"]) > FEWEST
