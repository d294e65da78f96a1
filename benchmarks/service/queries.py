"""The queries that the service executes continuously, with their plans."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.db import make_sessions
from app.files.texts import texts_csv
from app.jobs import completion, counts, shards, store
from app.jobs.shards import TextResult
from app.jobs.view import present
from app.models import read_models
from app.resources import ROOT
from benchmarks.service.plans import Plan, explained
from benchmarks.service.stored_jobs import MEASURED_WITH, MODEL

LARGE_TABLES = frozenset(("text", "text_profile", "shard", "shard_domain"))
LEASE_SECONDS = 60.0

Query = Callable[[Session], Any]


def explained_queries(engine: Engine) -> Iterator[tuple[str, list[Plan]]]:
    """The title and the plans of each query. No query changes the database.

    Each query is executed twice, and the plans are those of the second execution, whose pages are in memory.
    """
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        queries = [*_worker_queries(session), *_api_queries(session)]
    for title, query in queries:
        for _ in range(2):
            with sessions() as session, explained(engine) as plans:
                query(session)
        yield title, plans


def _worker_queries(session: Session) -> Iterator[tuple[str, Query]]:
    claim = shards.claim(session, MODEL, LEASE_SECONDS, MEASURED_WITH)
    assert claim is not None
    ordinals = range(claim.first_ordinal, claim.end_ordinal)
    measured = [TextResult(ordinal, "cpp", 0, False, "not measured", None) for ordinal in ordinals]
    yield "claim a shard", lambda s: shards.claim(s, MODEL, LEASE_SECONDS, MEASURED_WITH)
    yield "its texts", lambda s: shards.texts(s, claim)
    yield "renew the lease", lambda s: shards.renew(s, claim, LEASE_SECONDS)
    yield "commit the shard", lambda s: shards.commit(s, claim, measured)
    yield "next job to finalize", lambda s: completion.next_to_finalize(s, MODEL)
    yield "models with work (sweep)", shards.models_with_work


def _api_queries(session: Session) -> Iterator[tuple[str, Query]]:
    models = read_models(ROOT / "models.toml")

    def listing(**filters: Any) -> Query:
        filters = {"status": None, "model": None, "limit": 21, "before": None} | filters
        return lambda s: present(s, store.page(s, **filters), models)

    def state(job_id: UUID) -> Query:
        return lambda s: present(s, [store.get(s, job_id)], models)

    for status in ("running", "succeeded"):
        (job,) = store.page(session, status=status, model=None, limit=1, before=None)
        yield f"state of a job, {status}", state(job.id)
    yield "newest 20 jobs", listing()
    yield "newest 20 running jobs", listing(status="running")
    yield "newest 20 failed jobs (none exists)", listing(status="failed")
    yield "texts.csv of a job", lambda s: sum(1 for _ in texts_csv(s, store.get(s, job.id)))
    yield "jobs by status (metrics)", counts.jobs_by_status
    yield "waiting work of each model (metrics)", counts.waiting_work
