"""What the service asks its database all day long, with the plans by which it is answered."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.db import make_sessions
from app.files import export
from app.jobs import completion, shards, store
from app.jobs.shards import TextResult
from app.jobs.view import present
from app.models import read_models
from app.settings import ROOT
from benchmarks.filling import MEASURED_WITH, MODEL
from benchmarks.plans import Plan, explained

LARGE = frozenset(("text", "text_profile", "shard", "shard_domain"))
LEASE_SECONDS = 60.0

Query = Callable[[Session], Any]


def explained_queries(engine: Engine) -> Iterator[tuple[str, list[Plan]]]:
    """Each asked a second time, so that what it needs is in memory; nothing of it is kept."""
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        questions = [*_of_workers(session), *_of_callers(session)]
    for what, query in questions:
        for _ in range(2):
            with sessions() as session, explained(engine) as plans:
                query(session)
        yield what, plans


def _of_workers(session: Session) -> Iterator[tuple[str, Query]]:
    claim = shards.claim(session, MODEL, LEASE_SECONDS, MEASURED_WITH)
    assert claim is not None
    ordinals = range(claim.first_ordinal, claim.end_ordinal)
    measured = [TextResult(ordinal, "cpp", 0, False, "left out", None) for ordinal in ordinals]
    yield "claim a shard", lambda s: shards.claim(s, MODEL, LEASE_SECONDS, MEASURED_WITH)
    yield "its texts", lambda s: shards.texts(s, claim)
    yield "renew the lease", lambda s: shards.renew(s, claim, LEASE_SECONDS)
    yield "commit the shard", lambda s: shards.commit(s, claim, measured)
    yield "next job to be closed", lambda s: completion.next_to_finalize(s, MODEL)
    yield "models with work (sweep)", shards.models_with_work


def _of_callers(session: Session) -> Iterator[tuple[str, Query]]:
    models = read_models(ROOT / "models.toml")

    def listing(**which: Any) -> Query:
        which = {"status": None, "model": None, "limit": 21, "before": None} | which
        return lambda s: present(s, store.page(s, **which), models)

    def state(job_id: UUID) -> Query:
        return lambda s: present(s, [store.get(s, job_id)], models)

    for status in ("running", "succeeded"):
        (job,) = store.page(session, status=status, model=None, limit=1, before=None)
        yield f"state of a job, {status}", state(job.id)
    yield "newest 20 jobs", listing()
    yield "newest 20 running jobs", listing(status="running")
    yield "newest 20 failed jobs, there being none", listing(status="failed")
    yield "texts.csv of a job", lambda s: sum(1 for _ in export.texts_csv(s, store.get(s, job.id)))
