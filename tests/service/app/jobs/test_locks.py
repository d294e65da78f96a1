"""Requests and workers that act on one job at the same time: the later one sees what the earlier one did."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import AdvisoryLock, try_lock
from app.jobs import completion, notifications, shards, store
from app.jobs.shards import Fenced
from app.tables import Job, StoredProfile, Text
from tests.support.jobs.jobs_by_hand import MODEL, commit, measured, must_claim, submit

Sessions = sessionmaker[Session]
TEXTS = [("cpp", "a"), ("cpp", "b")]


@contextmanager
def waiting_behind(
    sessions: Sessions, first: Callable[[Session], Any], second: Callable[[], Any]
) -> Iterator[Future[Any]]:
    """Starts `second` while the transaction of `first` is open: it waits for its commit."""
    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            first(session)
            later = pool.submit(second)
            assert not wait([later], timeout=0.5).done
        yield later


def test_a_commit_waits_for_a_cancellation_and_is_discarded(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    claim = must_claim(sessions)
    rows = measured(sessions, claim)

    def commit_it() -> None:
        with sessions.begin() as session:
            shards.commit(session, claim, rows)

    cancel = partial(store.cancel, job_id=job_id)
    with waiting_behind(sessions, cancel, commit_it) as later, pytest.raises(Fenced):
        later.result(10)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(StoredProfile)) == 0


def test_a_finalization_waits_for_a_cancellation_and_respects_it(sessions: Sessions) -> None:
    job_id = submit(sessions, TEXTS)
    commit(sessions, must_claim(sessions))

    def finish() -> None:  # the statistics have been computed before the cancellation
        with sessions.begin() as session:
            job = session.get_one(Job, job_id)
            assert completion.lock(session, job)
            completion.finish(session, job)

    with waiting_behind(sessions, partial(store.cancel, job_id=job_id), finish) as later:
        later.result(30)
    with sessions() as session:
        assert session.get_one(Job, job_id).outcome == "cancelled"


def test_the_texts_of_a_shard_are_in_their_order_wherever_their_rows_are(sessions: Sessions) -> None:
    submit(sessions, [("cpp", str(i)) for i in range(50)], texts_per_shard=50)
    claim = must_claim(sessions)
    with sessions.begin() as session:  # PostgreSQL writes a changed row to another place
        session.execute(update(Text).where(Text.ordinal % 3 == 0).values(pair="p" + Text.text))
        session.execute(text("set local enable_indexscan = off"))
        session.execute(text("set local enable_bitmapscan = off"))
        found = [row.text for row in shards.texts(session, claim)]
    assert found == [str(i) for i in range(50)]


def test_one_process_sweeps_at_a_time(sessions: Sessions, redis: Redis) -> None:
    submit(sessions, TEXTS)
    with sessions.begin() as session:
        assert try_lock(session, AdvisoryLock.SWEEP)
        assert notifications.sweep(sessions, redis) is None
    assert notifications.sweep(sessions, redis) == [MODEL]
