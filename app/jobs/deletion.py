"""The end of a job's data: by DELETE, or because the job has been finished for long enough.

A job of a million texts takes minutes to erase, so it is hidden first (`jobs.delete_job`) and then taken
apart, each piece in a transaction of its own. Whatever is left of it when a process dies, the next
`tidy` of any API process finds.
"""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, sessionmaker

from app.files import cache
from app.jobs import store
from app.tables import CLOCK, Job, Text

TEXTS_AT_A_TIME = 1000
TIDY_LOCK = 0x54494459


def tidy(sessions: sessionmaker[Session], home: Path, retention_days: float | None) -> bool:
    """Erase one piece of what is to go, and the files here of what is gone; whether there is more.

    Of all processes that are at it one does it at a time.
    """
    _remove_files_of_absent_jobs(sessions, home)
    with sessions.begin() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(TIDY_LOCK))):
            return False
        if retention_days is not None:
            store.hide(session, Job.finished_at < CLOCK - timedelta(days=retention_days))
        hidden = select(Job).where(Job.erase_requested_at.is_not(None)).limit(1)
        job = session.scalars(hidden.with_for_update(skip_locked=True)).one_or_none()
        if job is not None:
            _erase_piece(session, job)
        return job is not None


def erase(sessions: sessionmaker[Session], job_id: UUID) -> None:
    """Erase a hidden job to its last row."""
    while True:
        with sessions.begin() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                return
            _erase_piece(session, job)


def _erase_piece(session: Session, job: Job) -> None:
    """The job's last texts with their values; with the first of them the job and all that hangs on it."""
    end, job.texts = job.texts, max(job.texts - TEXTS_AT_A_TIME, 0)
    # With its end too: beyond it lie those deleted before, and each piece would walk past all of them.
    piece = Text.ordinal.between(job.texts, end - 1)
    session.execute(delete(Text).where(Text.job_id == job.id, piece))
    if job.texts == 0:
        session.execute(delete(Job).where(Job.id == job.id))


def _remove_files_of_absent_jobs(sessions: sessionmaker[Session], home: Path) -> None:
    """Also of those that another process has erased, or that died while it did."""
    kept = set(cache.jobs_with_files(home))
    if not kept:
        return
    with sessions.begin() as session:
        there = set(session.scalars(select(Job.id).where(store.VISIBLE, Job.id.in_(kept))))
    for job_id in kept - there:
        cache.remove(home, job_id)
