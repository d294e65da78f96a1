"""Response times of the service during attacks, while a job runs."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.contestants.contestant_process import Entry
from benchmarks.load.attackers import ATTACKS, Attack
from benchmarks.load.busy_service import FILES, BusyService, busy_service
from benchmarks.load.hey import polls
from benchmarks.report import Report, mib

HEALTH_RATE, POLL_RATE = 20, 100  # per second


def report_attacks(report: Report, entry: Entry, texts: int, seconds: int) -> None:
    """`texts`: of the job that runs meanwhile. `seconds`: of the polls in each row.

    Raises: HeyNotInstalled.
    """
    with busy_service(entry, texts) as busy:
        rows = [_measured(busy, name, attack, seconds) for name, attack in ATTACKS.items()]
        done = busy.texts_done()
    report.table(("attack", "health: p50, p99, max", "polls: p50, p99, max", "memory of the API"), rows)
    report.say(
        f"In ms and MiB. {HEALTH_RATE} health checks and {POLL_RATE} polls per second, by four clients each, "
        f"for {seconds} s from the start of each attack. `polls`: the state of a running job; of its "
        f"{texts:,} texts, {done:,} were done at the end. The service may open {FILES:,} files at first. "
        "PostgreSQL, Valkey, the worker, the clients and the API share the processor."
    )


def _measured(busy: BusyService, name: str, attack: Attack, seconds: int) -> tuple[str, str, str, str]:
    """The health checks and the polls are sent at the same time."""
    with attack(busy), ThreadPoolExecutor(1) as pool:
        health = pool.submit(polls, f"{busy.url}/health/live", HEALTH_RATE, seconds)
        of_job = polls(busy.path_of_running_job(), POLL_RATE, seconds)
    return name, health.result().summary(), of_job.summary(), mib(busy.api_memory())
