"""What is asked all day long is found by indexes: shown by the plans, on tables that are full."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from app.db import make_engine, migrate
from benchmarks.filling import fill, settle
from benchmarks.plans import Plan
from benchmarks.queries import LARGE, explained_queries

MOST_PAGES = 1500  # of about 5,000 that the tables have: an index read from end to end is no index scan


@pytest.fixture
def full(empty_database_url: str) -> Iterator[Engine]:
    """100,000 texts, of 10,000 shards; a job in five is unfinished."""
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        fill(connection, 320, 250, shard_texts=10)
        fill(connection, 80, 250, shard_texts=10, finished=False)
        settle(connection)
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_no_large_table_is_read_from_end_to_end(full: Engine) -> None:
    plans = dict(explained_queries(full))
    assert "Index Scan shard_open_idx" in nodes(plans["claim a shard"])  # so that they are seen at all
    for what, of_it in plans.items():
        assert not {table for plan in of_it for table in plan.read_whole & LARGE}, (what, nodes(of_it))
        assert sum(plan.pages for plan in of_it) < MOST_PAGES, what


def nodes(plans: list[Plan]) -> list[str]:
    return [node for plan in plans for node in plan.nodes]
