"""The conditions that must hold whatever fault is injected."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psutil

from tests.faults.support.scale import SCALE
from tests.faults.support.service import RunningService
from tests.support.programs.processes import wait_for

STATUS_ORDER = ("queued", "running", "succeeded")


def counter_errors(state: dict[str, Any]) -> list[str]:
    """The counters of a job that are not consistent with each other."""
    progress, domains = state["progress"], state["domains"].values()
    sums = {name: sum(domain[name] for domain in domains) for name in ("texts", "done", "failed")}
    errors = [
        f"{name}: {progress[name]} is not {sums[name]}" for name in sums if progress[name] != sums[name]
    ]
    processed = progress["done"] + progress["failed"]
    if processed > progress["texts"]:
        errors.append(f"more texts processed than submitted: {progress}")
    if state["status"] == "succeeded" and processed != progress["texts"]:
        errors.append(f"succeeded before all texts were processed: {progress}")
    return errors


def decreases(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The counters that decreased, and the status if it went back."""
    errors = [
        f"{name} decreased from {before['progress'][name]} to {after['progress'][name]}"
        for name in ("done", "failed", "tokens")
        if after["progress"][name] < before["progress"][name]
    ]
    if STATUS_ORDER.index(after["status"]) < STATUS_ORDER.index(before["status"]):
        errors.append(f"{before['status']} became {after['status']}")
    return errors


@dataclass(frozen=True)
class TextRows:
    """The content of `texts.csv`, by ordinal."""

    measured: set[int] = field(default_factory=set)
    errors: dict[int, str] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0


def read_text_rows(texts_csv: bytes, texts: int) -> TextRows:
    """The rows of a measured text differ in scope, component or layer; a failed text has one row."""
    rows = list(csv.DictReader(io.StringIO(texts_csv.decode())))
    counts = Counter((row["ordinal"], row["scope"], row["component"], row["layer"]) for row in rows)
    errors = {int(row["ordinal"]): row["error"] for row in rows if row["error"]}
    measured = {int(row["ordinal"]) for row in rows if not row["error"]}
    duplicated = sum(count - 1 for count in counts.values()) + len(measured & errors.keys())
    return TextRows(measured, errors, texts - len(measured | errors.keys()), duplicated)


def wait_until_nothing_is_left(service: RunningService) -> None:
    """No unfinished job, lease, open transaction, or connection of a process that has ended."""
    for left in (unfinished_jobs, leases, open_transactions, foreign_connections):
        # The server may notice later that the process of a connection has ended.
        wait_for(lambda left=left: not left(service), SCALE.recovery_seconds)  # type: ignore[misc]


def unfinished_jobs(service: RunningService) -> int:
    return _count(service, "select count(*) from job where outcome is null")


def leases(service: RunningService) -> int:
    """If a job is cancelled while a shard is measured, the lease of the shard remains until it expires."""
    return _count(service, "select count(*) from shard where lease_until > clock_timestamp()")


def _count(service: RunningService, query: LiteralString) -> int:
    with service.database() as connection:
        ((count,),) = connection.execute(query).fetchall()
    return int(str(count))


def server_errors(service: RunningService) -> Counter[str]:
    """How often the API has answered each status of 500 or above, as counted by the API."""
    return errors_in(service.client.get("/metrics").text)


def errors_in(metrics: str) -> Counter[str]:
    counts = re.findall(r'layerscope_http_requests_total\{.*status="(5\d\d)"\} (\S+)', metrics)
    errors: Counter[str] = Counter()
    for status, times in counts:
        errors[status] += int(float(times))
    return errors


def open_transactions(service: RunningService) -> list[tuple[object, ...]]:
    """Process, state and query of the transactions that are idle or older than 2 s."""
    with service.database() as connection:
        query = (
            "select pid, state, query from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and (state like 'idle in transaction%'"
            " or clock_timestamp() - xact_start > interval '2 seconds')"
        )
        return connection.execute(query).fetchall()


def foreign_connections(service: RunningService) -> set[int]:
    """The ports of connections to the servers that belong to no living process of the service."""
    with service.database() as connection, service.redis() as redis:
        ports = {
            int(str(port))
            for (port,) in connection.execute(
                "select client_port from pg_stat_activity where client_port > 0 and pid <> pg_backend_pid()"
            )
        }
        own = int(str(redis.client_info()["addr"]).rpartition(":")[2])
        ports |= {int(client["addr"].rpartition(":")[2]) for client in redis.client_list()} - {own}
    return ports - ports_of(service.processes())


def ports_of(pids: list[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            found |= {link.laddr.port for link in psutil.Process(pid).net_connections("tcp")}
        except psutil.NoSuchProcess:
            continue
    return found
