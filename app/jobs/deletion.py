"""Deletion of a job's data: on DELETE, or when the retention period of a finished job is over.

Deleting a job of a million texts takes minutes. So the job is hidden first (`store.delete_job`), and its rows
are then deleted in batches, each in its own transaction. If a process dies before the last batch, the next
`purge` of any API process continues.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from app.coordination import CLOCK, AdvisoryLock, try_lock
from app.files import cache
from app.jobs import store
from app.tables import Job, Text

TEXTS_PER_BATCH = 1000


def purge(
    sessions: sessionmaker[Session],
    home: Path,
    retention_days: float | None,
    on_expiry: Callable[[UUID, str], None],
) -> bool:
    """Delete one batch of the rows of hidden jobs, and the files here of deleted jobs.

    `on_expiry` gets each job whose retention period was over, and its owner.

    Returns whether there may be more to delete. A lock allows one process at a time to delete rows.
    """
    _remove_files_of_absent_jobs(sessions, home)
    expired: dict[UUID, str] = {}
    with sessions.begin() as session:
        if not try_lock(session, AdvisoryLock.PURGE):
            return False
        if retention_days is not None:
            expired = store.hide(session, Job.finished_at < CLOCK - timedelta(days=retention_days))
        hidden = select(Job).where(Job.deletion_requested_at.is_not(None)).limit(1)
        job = session.scalars(hidden.with_for_update(skip_locked=True)).one_or_none()
        if job is not None:
            _delete_batch(session, job)
    for job_id, owner in expired.items():
        on_expiry(job_id, owner)
    return job is not None


def delete_rows(sessions: sessionmaker[Session], job_id: UUID) -> None:
    """Delete all rows of a hidden job."""
    while True:
        with sessions.begin() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return
            _delete_batch(session, job)


def _delete_batch(session: Session, job: Job) -> None:
    """Delete the last texts of the job with their values. The last batch also deletes the job itself."""
    end, job.texts = job.texts, max(job.texts - TEXTS_PER_BATCH, 0)
    # Without the upper bound, each batch would read the index entries of all texts deleted before.
    batch = Text.ordinal.between(job.texts, end - 1)
    session.execute(delete(Text).where(Text.job_id == job.id, batch))
    if job.texts == 0:
        session.execute(delete(Job).where(Job.id == job.id))


def _remove_files_of_absent_jobs(sessions: sessionmaker[Session], home: Path) -> None:
    """Also the files of jobs whose rows another process has deleted."""
    kept = set(cache.jobs_with_files(home))
    if not kept:
        return
    with sessions.begin() as session:
        existing = set(session.scalars(select(Job.id).where(store.VISIBLE, Job.id.in_(kept))))
    for job_id in kept - existing:
        cache.remove(home, job_id)
