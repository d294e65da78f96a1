"""The queries that the service executes continuously use indexes. Shown by their plans on large tables."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from app.db import make_engine, migrate
from benchmarks.service.plans import Plan
from benchmarks.service.queries import LARGE_TABLES, explained_queries
from benchmarks.service.stored_jobs import insert_jobs, vacuum

MAX_PAGES = 1500  # of about 5,000 pages in the tables; an index that is read completely is no help


@pytest.fixture
def full(empty_database_url: str) -> Iterator[Engine]:
    """100,000 texts in 10,000 shards. One job in five is unfinished."""
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        insert_jobs(connection, 320, 250, shard_texts=10)
        insert_jobs(connection, 80, 250, shard_texts=10, finished=False)
        vacuum(connection)
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_no_large_table_is_read_completely(full: Engine) -> None:
    plans = dict(explained_queries(full))
    assert "Index Scan shard_open_idx" in nodes(plans["claim a shard"])  # the plans contain the scans
    for title, of_query in plans.items():
        sequential_scans = {table for plan in of_query for table in plan.sequential_scans & LARGE_TABLES}
        assert not sequential_scans, (title, nodes(of_query))
        assert sum(plan.pages for plan in of_query) < MAX_PAGES, title


def nodes(plans: list[Plan]) -> list[str]:
    return [node for plan in plans for node in plan.nodes]
