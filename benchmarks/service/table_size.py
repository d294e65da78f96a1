"""Millions of texts in the tables: how queries find their rows, and how much space a text needs on disk."""

import shutil
import time

import psycopg
from sqlalchemy import Engine

from app.db import make_engine, migrate
from app.local.servers import running_servers
from benchmarks.paths import BUILT
from benchmarks.report import Report
from benchmarks.service.queries import LARGE_TABLES, explained_queries
from benchmarks.service.stored_jobs import Connection, bytes_on_disk, insert_jobs, stored_values, vacuum

HOME = BUILT / "size"
TABLES = ("job", *sorted(LARGE_TABLES))
LAYERS = 28
CHARACTERS = 200
SMALL_JOB_TEXTS = 656
LARGE_JOB = 100  # times the texts of the other jobs


def report_table_size(report: Report, jobs: int, texts: int, measured_texts: int) -> None:
    """Explains the queries with `jobs` jobs of `texts` texts, of which one in ten is unfinished.

    Then inserts as many small unfinished jobs and one large unfinished job, and explains the queries again.
    """
    shutil.rmtree(HOME, ignore_errors=True)
    with (
        running_servers(HOME) as running,
        psycopg.connect(running.database_url, autocommit=True) as connection,
    ):
        migrate(running.database_url)
        for setting in ("fsync = off", "max_wal_size = '8GB'"):  # the database is deleted afterwards
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
        engine = make_engine(running.database_url)
        _report_bytes(report, connection, measured_texts)
        start = time.perf_counter()
        insert_jobs(connection, jobs - jobs // 10, texts)
        insert_jobs(connection, jobs // 10, texts, finished=False)
        vacuum(connection)
        report.heading(f"{jobs * texts:,} texts in {jobs:,} jobs, {jobs // 10:,} of them unfinished")
        _report_plans(report, engine)
        insert_jobs(connection, jobs, SMALL_JOB_TEXTS, finished=False)
        insert_jobs(connection, 1, LARGE_JOB * texts, finished=False)
        vacuum(connection)
        added = f"{jobs:,} unfinished jobs of {SMALL_JOB_TEXTS} texts and one of {LARGE_JOB * texts:,}"
        report.heading(f"The same and {added}")
        _report_plans(report, engine)
        on_disk = sum(bytes_on_disk(connection, TABLES).values())
        report.say(f"{on_disk / 1e9:.1f} GB on disk, inserted in {time.perf_counter() - start:.0f} s.")
        engine.dispose()
    shutil.rmtree(HOME)


def _report_plans(report: Report, engine: Engine) -> None:
    rows, sequential = [], set[str]()
    for title, plans in explained_queries(engine):
        nodes = dict.fromkeys(node for plan in plans for node in plan.nodes)
        sequential |= {table for plan in plans for table in plan.sequential_scans & LARGE_TABLES}
        milliseconds = f"{sum(plan.milliseconds for plan in plans):.1f}"
        pages = f"{sum(plan.pages for plan in plans):,}"
        rows.append((title, str(len(plans)), milliseconds, pages, "; ".join(nodes)))
    report.table(("", "statements", "ms", "pages of 8 KiB", "scans"), rows)
    tables = ", ".join(sorted(LARGE_TABLES))
    report.say(f"Sequential scans of {tables}: {', '.join(sorted(sequential)) or 'none'}.")


def _report_bytes(report: Report, connection: Connection, texts: int) -> None:
    report.heading(f"Bytes per text, {texts:,} texts of {CHARACTERS} characters, {LAYERS} layers")
    before = bytes_on_disk(connection, TABLES)
    insert_jobs(connection, 1, texts, stored_values(LAYERS), characters=CHARACTERS)
    after = bytes_on_disk(connection, TABLES)
    connection.execute("truncate job cascade")
    sizes = {table: (after[table] - before[table]) / texts for table in TABLES}
    sizes["together"] = sum(sizes.values())
    sizes[f"of that, the values themselves ({LAYERS} layers)"] = len(stored_values(LAYERS))
    rows = [(table, f"{size:,.1f}", f"{size / 1e3:,.2f}") for table, size in sizes.items()]
    report.table(("with indexes", "bytes per text", "GB per million"), rows)
