"""Millions of texts in the tables: how what is asked is found, and what a text takes on disk."""

import shutil
import time

import psycopg
from sqlalchemy import Engine

from app.db import make_engine, migrate
from app.local.embedded import servers
from benchmarks.filling import Connection, bytes_on_disk, fill, settle, values_of
from benchmarks.paths import BUILT
from benchmarks.queries import LARGE, explained_queries
from benchmarks.report import Report

HOME = BUILT / "size"
TABLES = ("job", *sorted(LARGE))
LAYERS = 28
CHARACTERS = 200
SMALL_JOB_TEXTS = 656
LARGE_JOB = 100  # times the texts of the others


def size(report: Report, jobs: int, texts: int, measured_texts: int) -> None:
    """`jobs` of so many texts each, one in ten unfinished; then as many small unfinished ones more."""
    shutil.rmtree(HOME, ignore_errors=True)
    with servers(HOME) as running, psycopg.connect(running.database_url, autocommit=True) as connection:
        migrate(running.database_url)
        for setting in ("fsync = off", "max_wal_size = '8GB'"):  # it is thrown away
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
        engine = make_engine(running.database_url)
        _bytes(report, connection, measured_texts)
        start = time.perf_counter()
        fill(connection, jobs - jobs // 10, texts)
        fill(connection, jobs // 10, texts, finished=False)
        settle(connection)
        report.heading(f"{jobs * texts:,} texts in {jobs:,} jobs, {jobs // 10:,} of them unfinished")
        _plans(report, engine)
        fill(connection, jobs, SMALL_JOB_TEXTS, finished=False)
        fill(connection, 1, LARGE_JOB * texts, finished=False)
        settle(connection)
        more = f"{jobs:,} unfinished jobs of {SMALL_JOB_TEXTS} texts and one of {LARGE_JOB * texts:,}"
        report.heading(f"The same and {more}")
        _plans(report, engine)
        on_disk = sum(bytes_on_disk(connection, TABLES).values())
        report.say(f"{on_disk / 1e9:.1f} GB on disk, filled in {time.perf_counter() - start:.0f} s.")
        engine.dispose()
    shutil.rmtree(HOME)


def _plans(report: Report, engine: Engine) -> None:
    rows, whole = [], set[str]()
    for what, plans in explained_queries(engine):
        nodes = dict.fromkeys(node for plan in plans for node in plan.nodes)
        whole |= {table for plan in plans for table in plan.read_whole & LARGE}
        milliseconds = f"{sum(plan.milliseconds for plan in plans):.1f}"
        pages = f"{sum(plan.pages for plan in plans):,}"
        rows.append((what, str(len(plans)), milliseconds, pages, "; ".join(nodes)))
    report.table(("", "statements", "ms", "pages of 8 KiB", "reads by"), rows)
    report.say(f"Of {', '.join(sorted(LARGE))} read from end to end: {', '.join(sorted(whole)) or 'none'}.")


def _bytes(report: Report, connection: Connection, texts: int) -> None:
    report.heading(f"Bytes a text, {texts:,} texts of {CHARACTERS} characters, {LAYERS} layers")
    before = bytes_on_disk(connection, TABLES)
    fill(connection, 1, texts, values_of(LAYERS), characters=CHARACTERS)
    after = bytes_on_disk(connection, TABLES)
    connection.execute("truncate job cascade")
    each = {table: (after[table] - before[table]) / texts for table in TABLES}
    each["together"] = sum(each.values())
    each[f"of that, the values themselves ({LAYERS} layers)"] = len(values_of(LAYERS))
    rows = [(table, f"{value:,.1f}", f"{value / 1e3:,.2f}") for table, value in each.items()]
    report.table(("with indexes", "bytes a text", "GB a million"), rows)
