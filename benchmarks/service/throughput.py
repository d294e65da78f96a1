"""Compares the whole service (HTTP, PostgreSQL, queue, worker) with the measurement code alone.

Both measure the same texts in turns. The service is `layerscope up` with its own data folder, and its worker
has loaded the model before the first timed run. The time of a job runs from the POST to the response that
reports the end of the job.
"""

import json
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from benchmarks.contestants.contestant_process import ContestantProcess, Entry
from benchmarks.inputs.texts import tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run, interference_note
from benchmarks.measuring.interleaving import interleave
from benchmarks.measuring.timing import ratios, spread
from benchmarks.report import Report
from benchmarks.service.running_service import running_service

DOMAINS = 4
WAIT_SECONDS = 30
WARM_UP_TEXTS = 8


def report_throughput(
    report: Report, entry: Entry, texts: Sequence[str], rounds: int, budget: RepeatBudget
) -> None:
    """`entry`: the measurement code with all components, which are also the default of the service."""
    accepted: list[float] = []
    with running_service(entry) as running, ContestantProcess(entry, texts) as core_process:

        def job() -> Run:
            before = running.processor_seconds()
            seconds, until_accepted = _job(running.url, texts)
            accepted.append(until_accepted)
            return Run(seconds, running.processor_seconds() - before)

        _job(running.url, texts[:WARM_UP_TEXTS])
        core_process.run()
        runs = interleave([lambda: core_process.run()[0], job], rounds, budget)
    core, service = ([run.wall for run in side] for side in runs)
    share = ratios(core, service)
    rows = [
        (f"the core alone, {entry.dtype}", f"{spread(core):.2f}", _rate(texts, core), "", ""),
        (
            "the whole service",
            f"{spread(service):.2f}",
            _rate(texts, service),
            f"{share:.3f}",
            f"{share.least:.3f}",
        ),
        ("of that, until the job was accepted", f"{spread(accepted):.2f}", "", "", ""),
    ]
    report.table(("", "seconds", "tokens/s", "of the core's throughput", "at best"), rows)
    report.say(
        f"{len(texts):,} texts in {DOMAINS} domains, {tokens_of(texts):,} tokens, {rounds} rounds. "
        + interference_note([run for side in runs for run in side])
    )


def _rate(texts: Sequence[str], seconds: Sequence[float]) -> str:
    return f"{tokens_of(texts) / spread(seconds).median:,.0f}"


def _job(url: str, texts: Sequence[str]) -> tuple[float, float]:
    """The seconds from the POST to the end of the job, and to the response to the POST."""
    domains = {f"domain-{i}": list(texts[i::DOMAINS]) for i in range(DOMAINS)}
    start = time.perf_counter()
    job = _call(f"{url}/v1/jobs", {"texts": domains})
    accepted = time.perf_counter() - start
    while job["finished_at"] is None:
        job = _call(f"{url}/v1/jobs/{job['id']}?wait={WAIT_SECONDS}")
    seconds = time.perf_counter() - start
    if job["status"] != "succeeded" or job["progress"]["done"] != len(texts):
        raise RuntimeError(f"the job ended with status {job['status']}: {job['progress']}")
    return seconds, accepted


def _call(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=2 * WAIT_SECONDS) as answer:
        return json.load(answer)
