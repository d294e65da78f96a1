"""A million texts over HTTP, in both directions: the memory that the API and PostgreSQL need for them.

All processes are real: PostgreSQL, `layerscope api`, and this one as the client. No worker takes part.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from urllib.parse import urlsplit
from uuid import UUID

import psutil
import psycopg
from psycopg.types.json import Jsonb

from app.db import make_engine, make_sessions, migrate
from app.local.servers import Servers, running_servers
from app.resources import ROOT
from app.settings import Settings
from benchmarks.paths import BUILT
from benchmarks.report import Report
from benchmarks.service.api_process import api_process
from benchmarks.service.http_jobs import CHARACTERS, delete, download, lines, paired_lines, post
from benchmarks.service.process_memory import MEGABYTE, SampledMaximum, resident_memory, session_memory
from benchmarks.service.stored_jobs import MEASURED_WITH, MODEL, finish_job, insert_jobs, stored_values
from worker.finalization.finalize import finalize_jobs

HOME = BUILT / "intake"
WARM_UP_TEXTS = 100
HEAD = ("", "answer", "seconds", "API grew by MB", "largest PostgreSQL session, MB")
UNFINISHED = "update job set outcome = null, finished_at = null, measured_with = %s where id = %s"
ROWS = "select count(*) from job union all select count(*) from text union all select count(*) from shard"
OPEN_TRANSACTIONS = """
    select count(*) from pg_stat_activity where xact_start is not null
    and backend_type = 'client backend' and pid <> pg_backend_pid()"""


class UploadAborted(Exception):
    """The client aborts its own request."""


@dataclass(frozen=True)
class Bench:
    """The processes that are measured."""

    url: str
    api: psutil.Process
    running: Servers

    def connect(self) -> psycopg.Connection[tuple[int]]:
        return psycopg.connect(self.running.database_url, autocommit=True)

    def open_transactions(self) -> int:
        """The number of PostgreSQL sessions of the API that are inside a transaction."""
        with self.connect() as connection:
            return int(connection.execute(OPEN_TRANSACTIONS).fetchall()[0][0])

    def is_connected(self) -> bool:
        """Whether the API has a connection of a client."""
        links = self.api.net_connections("tcp")
        port = urlsplit(self.url).port
        return any(link.laddr.port == port and link.status != psutil.CONN_LISTEN for link in links)

    def kept(self) -> str:
        with self.connect() as connection:
            return f"{sum(count for (count,) in connection.execute(ROWS)):,} rows kept"

    def table_row(self, title: str, work: Callable[[], str]) -> tuple[str, ...]:
        """The result of the work, its seconds, and the peak memory in the meantime."""
        postmaster = psutil.Process(self.running.children[0].process.pid)
        start = time.perf_counter()
        with (
            SampledMaximum(resident_memory(self.api)) as api,
            SampledMaximum(session_memory(postmaster)) as session,
        ):
            answer = work()
        seconds = time.perf_counter() - start
        sizes = (f"{api.growth / MEGABYTE:.0f}", f"{session.maximum / MEGABYTE:.0f}")
        return title, answer, f"{seconds:.1f}", *sizes


def report_intake(report: Report, texts: int, wide_texts: int) -> None:
    """Uploads `texts` texts and downloads their files; the files of `wide_texts` texts have 28 layers."""
    shutil.rmtree(HOME, ignore_errors=True)
    report.heading(f"{texts:,} texts of {CHARACTERS} characters over HTTP, and their files")
    with running_servers(HOME) as running:
        migrate(running.database_url)
        settings = Settings(
            home=HOME,
            database_url=running.database_url,
            redis_url=running.redis_url,
            models=ROOT / "models.toml",
        )
        with api_process(settings) as (url, process):
            rows = list(_table_rows(Bench(url, process, running), texts, wide_texts))
    report.table(HEAD, rows)
    report.say(
        "API: growth of its resident memory within the row. PostgreSQL: memory without the shared buffers."
    )
    shutil.rmtree(HOME)


def _table_rows(bench: Bench, texts: int, wide_texts: int) -> Iterator[tuple[str, ...]]:
    post(bench.url, lines(WARM_UP_TEXTS))  # what the first request loads must not count as growth
    with bench.connect() as connection:
        connection.execute("delete from job")
    yield bench.table_row("aborted in the middle", lambda: aborted_upload(bench, texts))
    yield bench.table_row("rejected because of its last line", lambda: rejected_upload(bench, texts))
    posted: list[UUID] = []
    yield bench.table_row("accepted", lambda: _accepted_upload(bench, lines(texts), posted))
    yield bench.table_row(
        "accepted, with pairs", lambda: _accepted_upload(bench, paired_lines(texts), posted)
    )
    with bench.connect() as connection:
        finish_job(connection, posted[0], texts, stored_values(1))
        wide = insert_jobs(connection, 1, wide_texts, stored_values(28), characters=CHARACTERS)
    shapes = ((posted[0], f"{texts:,} texts, 1 layer"), (wide[0], f"{wide_texts:,} texts, 28 layers"))
    for (job_id, shape), name in product(shapes, ("texts.csv", "texts.ndjson")):
        yield bench.table_row(f"{name} of {shape}", partial(_downloaded, bench.url, job_id, name))
    finalized = partial(_finalized, bench, posted[1], texts)
    yield bench.table_row(f"finalized, {texts:,} texts in pairs, 1 layer", finalized)
    for job_id, shape in shapes:
        yield bench.table_row(f"DELETE of {shape}", partial(_deleted, bench, job_id))


def _accepted_upload(bench: Bench, body: Iterator[bytes], posted: list[UUID]) -> str:
    """Appends the id of the job to `posted`."""
    response = post(bench.url, body)
    posted.append(UUID(response.json()["id"]))
    return f"{response.status_code}, {response.json()['progress']['texts']:,} texts"


def rejected_upload(bench: Bench, texts: int) -> str:
    """The last of `texts` texts is empty: the status, the place of the error, and the rows that were kept."""
    response = post(bench.url, lines(texts - 1, b'{"domain": "cpp", "text": ""}\n'))
    (error,) = response.json()["errors"]
    return f"{response.status_code}, {error['pointer']}; {bench.kept()}"


def aborted_upload(bench: Bench, texts: int) -> str:
    """The client closes the connection after half of `texts` texts: the rows that were kept."""

    def half() -> Iterator[bytes]:
        yield from lines(texts // 2)
        raise UploadAborted

    try:
        post(bench.url, half())
    except UploadAborted:
        while bench.is_connected() or bench.open_transactions():
            time.sleep(0.1)
    return bench.kept()


def _downloaded(url: str, job_id: UUID, name: str) -> str:
    status, size, line_ends = download(url, job_id, name)
    return f"{status}, {size / MEGABYTE:,.0f} MB, {line_ends:,} lines"


def _finalized(bench: Bench, job_id: UUID, texts: int) -> str:
    """Computes the statistics and compares the pairs as a worker does, but in this process."""
    with bench.connect() as connection:
        finish_job(connection, job_id, texts, stored_values(1))
        connection.execute("update shard set done_at = now() where job_id = %s", (job_id,))
        connection.execute(UNFINISHED, (Jsonb(MEASURED_WITH | {"layers": 1}), job_id))
    engine = make_engine(bench.running.database_url)
    with SampledMaximum(resident_memory(psutil.Process())) as memory:
        finalize_jobs(make_sessions(engine), MODEL)
    engine.dispose()
    with bench.connect() as connection:
        ((outcome,),) = connection.execute("select outcome from job where id = %s", (job_id,)).fetchall()
    return f"{outcome}, in {memory.growth / MEGABYTE:.0f} MB"


def _deleted(bench: Bench, job_id: UUID) -> str:
    response = delete(bench.url, job_id)
    return f"{response.status_code}; {bench.kept()}"
