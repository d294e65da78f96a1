"""A million texts in and out over HTTP: what it costs the API's process and PostgreSQL in memory.

Real processes: PostgreSQL, `layerscope api`, and this one as the client; no worker takes part.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import product
from uuid import UUID

import httpx
import psutil
import psycopg
from psycopg.types.json import Jsonb

from app.db import make_engine, make_sessions, migrate
from app.local.embedded import Servers, servers
from app.settings import ROOT, Settings
from benchmarks.api_process import MEGABYTE, Most, api_process, own_memory_of_sessions, resident
from benchmarks.filling import MEASURED_WITH, MODEL, fill, profile, values_of
from benchmarks.paths import BUILT
from benchmarks.report import Report
from worker.finalization.finalize import finalize_jobs

NDJSON = {"Content-Type": "application/x-ndjson"}
LINES_AT_A_TIME = 500
CHARACTERS = 200
HOME = BUILT / "intake"
UNFINISHED = "update job set outcome = null, finished_at = null, measured_with = %s where id = %s"
TABLES = "select count(*) from job union all select count(*) from text union all select count(*) from shard"


class BrokenOff(Exception):
    """The client's own way out of a request."""


@dataclass(frozen=True)
class Bench:
    url: str
    api: psutil.Process
    running: Servers

    def connect(self) -> psycopg.Connection[tuple[int]]:
        return psycopg.connect(self.running.database_url, autocommit=True)

    def row(self, what: str, work: Callable[[], str]) -> tuple[str, ...]:
        """What came of the work, its seconds, and the most memory meanwhile."""
        postmaster = psutil.Process(self.running.children[0].process.pid)
        start = time.perf_counter()
        with Most(resident(self.api)) as api, Most(own_memory_of_sessions(postmaster)) as backend:
            came = work()
        seconds = time.perf_counter() - start
        sizes = (f"{api.growth / MEGABYTE:.0f}", f"{backend.most / MEGABYTE:.0f}")
        return what, came, f"{seconds:.1f}", *sizes


def intake(report: Report, texts: int, wide_texts: int) -> None:
    """`texts` are posted, and read back with values of one layer; `wide_texts` with those of 28 layers."""
    shutil.rmtree(HOME, ignore_errors=True)
    report.heading(f"{texts:,} texts of {CHARACTERS} characters over HTTP, and their files")
    with servers(HOME) as running:
        migrate(running.database_url)
        settings = Settings(
            home=HOME,
            database_url=running.database_url,
            redis_url=running.redis_url,
            models=ROOT / "models.toml",
        )
        with api_process(settings) as (url, process):
            rows = list(_rows(Bench(url, process, running), texts, wide_texts))
    report.table(("", "answer", "seconds", "API grew by MB", "most of a PostgreSQL session, MB"), rows)
    report.say(
        "Resident memory of the API above that before the line; PostgreSQL's without its shared buffers."
    )
    shutil.rmtree(HOME)


def _rows(bench: Bench, texts: int, wide_texts: int) -> Iterator[tuple[str, ...]]:
    post(bench.url, lines(100))  # what is loaded at the first request is no growth
    with bench.connect() as connection:
        connection.execute("delete from job")
    yield bench.row("broken off in the middle", lambda: broken_off(bench, texts))
    yield bench.row("refused for its last line", lambda: refused(bench, texts))
    posted: list[UUID] = []
    yield bench.row("accepted", lambda: _accepted(bench, lines(texts), posted))
    yield bench.row("accepted, with pairs", lambda: _accepted(bench, paired_lines(texts), posted))
    with bench.connect() as connection:
        profile(connection, posted[0], texts, values_of(1))
        wide = fill(connection, 1, wide_texts, values_of(28), characters=CHARACTERS)
    shapes = ((posted[0], f"{texts:,} texts, 1 layer"), (wide[0], f"{wide_texts:,} texts, 28 layers"))
    for (job_id, shape), name in product(shapes, ("texts.csv", "texts.ndjson")):
        yield bench.row(f"{name} of {shape}", partial(_downloaded, bench.url, job_id, name))
    yield bench.row(f"closed, {texts:,} texts in pairs, 1 layer", lambda: _closed(bench, posted[1], texts))
    for job_id, shape in shapes:
        yield bench.row(f"DELETE of {shape}", partial(_deleted, bench, job_id))


def lines(count: int, last: bytes = b"") -> Iterator[bytes]:
    """So many texts, a text a line, in pieces of many lines; and then `last`."""
    for numbers in _pieces(count):
        yield "".join(f'{{"domain": "cpp", "text": "{_text(number)}"}}\n' for number in numbers).encode()
    yield last


def paired_lines(count: int) -> Iterator[bytes]:
    """The same of two domains, every two texts a pair, in an order that has nothing to do with the pairs."""
    for numbers in _pieces(count):
        yield "".join(
            f'{{"domain": "{"ab"[number % 2]}", "text": "{_text(number)}", "pair": "{_pair(number // 2)}"}}\n'
            for number in numbers
        ).encode()


def _pieces(count: int) -> Iterator[range]:
    return (range(i, min(i + LINES_AT_A_TIME, count)) for i in range(0, count, LINES_AT_A_TIME))


def _text(number: int) -> str:
    return f"{number} ".ljust(CHARACTERS, "x")


def _pair(number: int) -> str:
    return sha256(number.to_bytes(8)).hexdigest()[:16]


def post(url: str, body: Iterator[bytes]) -> httpx.Response:
    return httpx.post(f"{url}/v1/jobs?model=demo", content=body, headers=NDJSON, timeout=600)


def _accepted(bench: Bench, body: Iterator[bytes], posted: list[UUID]) -> str:
    answer = post(bench.url, body)
    posted.append(UUID(answer.json()["id"]))
    return f"{answer.status_code}, {answer.json()['progress']['texts']:,} texts"


def refused(bench: Bench, texts: int) -> str:
    answer = post(bench.url, lines(texts - 1, b'{"domain": "cpp", "text": ""}\n'))
    (fault,) = answer.json()["errors"]
    return f"{answer.status_code}, {fault['pointer']}; {_kept(bench)}"


def broken_off(bench: Bench, texts: int) -> str:
    def half() -> Iterator[bytes]:
        yield from lines(texts // 2)
        while not _at_work(bench):
            time.sleep(0.01)
        raise BrokenOff

    try:
        post(bench.url, half())
    except BrokenOff:
        while _at_work(bench):
            time.sleep(0.1)
    return _kept(bench)


def _at_work(bench: Bench) -> int:
    """Sessions of the API inside a transaction."""
    with bench.connect() as connection:
        return int(
            connection.execute(
                "select count(*) from pg_stat_activity where xact_start is not null"
                " and backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchall()[0][0]
        )


def _kept(bench: Bench) -> str:
    with bench.connect() as connection:
        return f"{sum(count for (count,) in connection.execute(TABLES)):,} rows kept"


def download(url: str, job_id: UUID, name: str) -> tuple[int, int, int]:
    """Reads and forgets; the status, the size and the number of lines."""
    size = ends = 0
    with httpx.stream("GET", f"{url}/v1/jobs/{job_id}/{name}", timeout=600) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            ends += piece.count(b"\n")
    return answer.status_code, size, ends


def _closed(bench: Bench, job_id: UUID, texts: int) -> str:
    """As a worker does it, in this process: statistics, and the pairs compared."""
    with bench.connect() as connection:
        profile(connection, job_id, texts, values_of(1))
        connection.execute("update shard set done_at = now() where job_id = %s", (job_id,))
        connection.execute(UNFINISHED, (Jsonb(MEASURED_WITH | {"layers": 1}), job_id))
    engine = make_engine(bench.running.database_url)
    with Most(resident(psutil.Process())) as closer:
        finalize_jobs(make_sessions(engine), MODEL)
    engine.dispose()
    with bench.connect() as connection:
        ((outcome,),) = connection.execute("select outcome from job where id = %s", (job_id,)).fetchall()
    return f"{outcome}, in {closer.growth / MEGABYTE:.0f} MB"


def _deleted(bench: Bench, job_id: UUID) -> str:
    answer = httpx.delete(f"{bench.url}/v1/jobs/{job_id}", timeout=600)
    return f"{answer.status_code}; {_kept(bench)}"


def _downloaded(url: str, job_id: UUID, name: str) -> str:
    status, size, ends = download(url, job_id, name)
    return f"{status}, {size / MEGABYTE:,.0f} MB, {ends:,} lines"
