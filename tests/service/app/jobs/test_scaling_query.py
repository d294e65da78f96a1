"""The query with which KEDA asks PostgreSQL how much work there is, with no more rights than it has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ruamel.yaml import YAML
from sqlalchemy import Engine, make_url, update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import store
from app.resources import ROOT
from app.tables import Job
from tests.support.jobs.finished_job import finished_job
from tests.support.jobs.jobs_by_hand import commit, must_claim, submit

MODEL = "demo"
OF_MODEL = "llama-3.2-3b"  # of the manifest
ROLE = "layerscope_scaler"
MANIFEST = ROOT / "deploy" / "kubernetes" / "overlays" / "gpu" / OF_MODEL / "scaling.yaml"
TEXTS = [("cpp", "int x;"), ("cpp", "int y;"), ("python", "x = 1"), ("python", "y = 2"), ("cpp", "int z;")]

Sessions = sessionmaker[Session]
Scaler = psycopg.Connection[tuple[Any, ...]]


def query(model: str) -> bytes:
    (trigger,) = YAML(typ="safe").load(MANIFEST)["spec"]["triggers"]
    text: str = trigger["metadata"]["query"]
    assert text.count(OF_MODEL) == 1
    return text.replace(OF_MODEL, model).encode()


def documented_rights() -> str:
    document = Path(ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sql\n(.*?)```", document, re.DOTALL)
    return str(block)


@pytest.fixture
def scaler(engine: Engine, database_url: str) -> Iterator[Scaler]:
    """A connection of the role that the document creates."""
    with engine.begin() as connection:
        connection.exec_driver_sql(documented_rights())
    url = make_url(database_url).set(username=ROLE, password="PASSWORD")
    try:
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connected:
            yield connected
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"drop owned by {ROLE}")
            connection.exec_driver_sql(f"drop role {ROLE}")


def work(scaler: Scaler, model: str = MODEL) -> int:
    (row,) = scaler.execute(query(model)).fetchall()
    (found,) = row
    assert isinstance(found, int)
    return found


def test_it_counts_what_workers_have_to_do(sessions: Sessions, scaler: Scaler) -> None:
    assert work(scaler) == 0
    finished_job(sessions)
    assert work(scaler) == 0
    submit(sessions, TEXTS)  # three shards
    submit(sessions, TEXTS, model="other")
    assert (work(scaler), work(scaler, "other"), work(scaler, "none")) == (3, 3, 0)
    claim = must_claim(sessions)
    assert work(scaler) == 3  # a leased shard is still work
    commit(sessions, claim)
    assert work(scaler) == 2


def test_a_job_that_is_to_be_finalized_needs_a_worker(sessions: Sessions, scaler: Scaler) -> None:
    submit(sessions, TEXTS)
    for _ in range(3):
        assert work(scaler) > 0
        commit(sessions, must_claim(sessions))
    assert work(scaler) == 1
    cancelled = submit(sessions, TEXTS)
    must_claim(sessions)
    with sessions.begin() as session:
        store.cancel(session, cancelled)
    failed = submit(sessions, TEXTS)
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == failed).values(error={"type": "x"}))
    assert work(scaler) == 3
    with sessions.begin() as session:
        session.execute(
            update(Job).where(Job.outcome.is_(None)).values(outcome="failed", finished_at=Job.created_at)
        )
    assert work(scaler) == 0


@pytest.mark.parametrize(
    "forbidden", ["select text from text", "select name from job", "select owner from job", "delete from job"]
)
def test_the_role_may_read_nothing_else(scaler: Scaler, forbidden: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        scaler.execute(forbidden.encode())
