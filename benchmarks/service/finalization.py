"""How long a worker needs to finalize a large job: its time, processor time and memory."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import numpy as np
import psutil
import psycopg

from app.db import make_engine, make_sessions, migrate
from app.local.servers import Servers, running_servers
from benchmarks.paths import BUILT
from benchmarks.report import Report
from benchmarks.service.process_memory import MEGABYTE, SampledMaximum, resident_memory, session_memory
from benchmarks.service.stored_jobs import MEASURED_WITH, MODEL, Connection, insert_jobs, vacuum
from layerscope.names import COMPONENTS, METRICS, SCOPES
from layerscope.values import encode
from worker.finalization.finalize import finalize_jobs

HOME = BUILT / "finalization"
DOMAINS = ["cpp", "python", "finance", "numbers"]
LAYERS = int(str(MEASURED_WITH["layers"]))
VALUES = (len(COMPONENTS), len(SCOPES), LAYERS, len(METRICS))


def report_finalization(report: Report, texts: int) -> None:
    """A job of `texts` texts in four domains, whose values are random numbers."""
    report.heading(f"Finalizing a job of {texts:,} texts, {LAYERS} layers, {len(SCOPES)} scopes")
    shutil.rmtree(HOME, ignore_errors=True)
    with _measured_job(texts) as (servers, job):
        engine = make_engine(servers.database_url)
        postmaster = psutil.Process(servers.children[0].process.pid)
        started, used = time.perf_counter(), time.process_time()
        with (
            SampledMaximum(resident_memory(psutil.Process())) as memory,
            SampledMaximum(session_memory(postmaster)) as session,
        ):
            finalize_jobs(make_sessions(engine), MODEL)
        seconds, used = time.perf_counter() - started, time.process_time() - used
        engine.dispose()
        with psycopg.connect(servers.database_url) as connection:
            outcome = connection.execute("select outcome from job where id = %s", (job,)).fetchall()[0][0]
    shutil.rmtree(HOME)
    report.say(
        f"{outcome} after {seconds:.1f} s; processor time of this process: {used:.1f} s. It grew by "
        f"{memory.growth / MEGABYTE:.0f} MB, and its session of PostgreSQL had "
        f"{session.maximum / MEGABYTE:.0f} MB."
    )


@contextmanager
def _measured_job(texts: int) -> Iterator[tuple[Servers, UUID]]:
    with running_servers(HOME) as servers:
        migrate(servers.database_url)
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            (job,) = insert_jobs(connection, 1, texts)
            connection.execute("delete from text_profile")
            connection.execute(
                "update text set domain = (%s::text[])[1 + ordinal %% %s]", (DOMAINS, len(DOMAINS))
            )
            _copy_values(connection, job, texts)
            connection.execute("update job set outcome = null, finished_at = null")
            vacuum(connection)
        yield servers, job


def _copy_values(connection: Connection, job: UUID, texts: int) -> None:
    rng = np.random.default_rng(0)
    columns = "job_id, ordinal, tokens, truncated, values"
    with connection.cursor().copy(f"copy text_profile ({columns}) from stdin") as copy:
        for ordinal in range(texts):
            values = encode(rng.lognormal(size=VALUES))
            copy.write_row((job, ordinal, int(rng.integers(20, 800)), False, values))
