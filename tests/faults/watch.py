"""What must hold whatever happens: seen from outside while a job runs, and in every row when it is done."""

import csv
import io
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, LiteralString

import httpx
import psutil

from tests.faults.house import House
from tests.faults.scale import SCALE
from tests.support.processes import wait_for

POLL_SECONDS = 0.05
ORDER = ("queued", "running", "succeeded")


class Watch:
    """Reads a job's state again and again while entered, and says at the end what was wrong with it."""

    def __init__(self, house: House, job_id: str, *, outage: bool = False, api_dies: bool = False) -> None:
        """`outage`: the documented 503 may be answered; `api_dies`: connections may break."""
        self._house, self._job_id, self._outage, self._api_dies = house, job_id, outage, api_dies
        self._wrong: list[str] = []
        self._last: dict[str, Any] | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self.polls = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if error is None:
            assert self._wrong == []
            assert self.polls > 0

    def finish(self, seconds: float) -> None:
        """Wait for the job's end. It has to come in time."""
        wait_for(lambda: (self._last is not None and self._last["finished_at"]) or self._wrong, seconds)
        assert self._wrong == []

    @property
    def settled(self) -> int:
        return 0 if self._last is None else _settled(self._last)

    def _run(self) -> None:
        with httpx.Client(base_url=self._house.base_url, timeout=30, trust_env=False) as client:
            while not self._done.wait(POLL_SECONDS):
                try:
                    self._look(client.get(f"/v1/jobs/{self._job_id}"))
                except httpx.TransportError as error:
                    if not self._api_dies:
                        self._wrong.append(f"no answer: {error!r}")

    def _look(self, answer: httpx.Response) -> None:
        if answer.status_code == 503 and self._outage:
            if answer.headers.get("retry-after") is None or "problem" not in answer.headers["content-type"]:
                self._wrong.append(f"not the documented 503: {answer.headers}")
            return
        if answer.status_code != 200:
            self._wrong.append(f"{answer.status_code}: {answer.text}")
            return
        self.polls += 1
        state = answer.json()
        self._wrong += [*faults_of(state), *(setbacks(self._last, state) if self._last else [])]
        self._last = state


def _settled(state: dict[str, Any]) -> int:
    return int(state["progress"]["done"] + state["progress"]["failed"])


def faults_of(state: dict[str, Any]) -> list[str]:
    """Counters that do not add up."""
    progress, domains = state["progress"], state["domains"].values()
    sums = {name: sum(domain[name] for domain in domains) for name in ("texts", "done", "failed")}
    wrong = [f"{name}: {progress[name]} is not {sums[name]}" for name in sums if progress[name] != sums[name]]
    if _settled(state) > progress["texts"]:
        wrong.append(f"more settled than there are: {progress}")
    if state["status"] == "succeeded" and _settled(state) != progress["texts"]:
        wrong.append(f"succeeded with texts open: {progress}")
    return wrong


def setbacks(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Counters and states that went back."""
    names = ("done", "failed", "tokens")
    wrong = [
        f"{name} went back from {before['progress'][name]} to {after['progress'][name]}"
        for name in names
        if after["progress"][name] < before["progress"][name]
    ]
    if ORDER.index(after["status"]) < ORDER.index(before["status"]):
        wrong.append(f"{before['status']} became {after['status']}")
    return wrong


@dataclass(frozen=True)
class Rows:
    """What `texts.csv` says of each text."""

    measured: set[int] = field(default_factory=set)
    errors: dict[int, str] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0


def read_rows(texts_csv: bytes, texts: int) -> Rows:
    """Every row of a text differs in scope, component or layer; a failed text has one."""
    rows = list(csv.DictReader(io.StringIO(texts_csv.decode())))
    seen = Counter((row["ordinal"], row["scope"], row["component"], row["layer"]) for row in rows)
    errors = {int(row["ordinal"]): row["error"] for row in rows if row["error"]}
    measured = {int(row["ordinal"]) for row in rows if not row["error"]}
    duplicated = sum(count - 1 for count in seen.values()) + len(measured & errors.keys())
    return Rows(measured, errors, texts - len(measured | errors.keys()), duplicated)


def everything_settled(house: House) -> None:
    """No job unfinished, no lease, no transaction, no connection of a process that is gone."""
    for left in (unfinished_jobs, leases, open_transactions, strange_connections):
        # Of a process that is gone they end when the server notices.
        wait_for(lambda left=left: not left(house), SCALE.recovery_seconds)  # type: ignore[misc]


def unfinished_jobs(house: House) -> int:
    return _count(house, "select count(*) from job where outcome is null")


def leases(house: House) -> int:
    """A shard that was in hand when its job was cancelled keeps its lease until it runs out."""
    return _count(house, "select count(*) from shard where lease_until > clock_timestamp()")


def _count(house: House, query: LiteralString) -> int:
    with house.database() as connection:
        ((count,),) = connection.execute(query).fetchall()
    return int(str(count))


def server_errors(house: House) -> Counter[str]:
    """How often the API has answered each status from 500 on, by its own count."""
    return errors_in(house.client.get("/metrics").text)


def errors_in(metrics: str) -> Counter[str]:
    counts = re.findall(r'layerscope_http_requests_total\{.*status="(5\d\d)"\} (\S+)', metrics)
    errors: Counter[str] = Counter()
    for status, times in counts:
        errors[status] += int(float(times))
    return errors


def open_transactions(house: House) -> list[tuple[object, ...]]:
    """Process, state and query of those that do nothing, or have lasted longer than any of ours should."""
    with house.database() as connection:
        query = (
            "select pid, state, query from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and (state like 'idle in transaction%'"
            " or clock_timestamp() - xact_start > interval '2 seconds')"
        )
        return connection.execute(query).fetchall()


def strange_connections(house: House) -> set[int]:
    """Ports that the servers hold connections to, and no living process of the house has."""
    with house.database() as connection, house.redis() as redis:
        ports = {
            int(str(port))
            for (port,) in connection.execute(
                "select client_port from pg_stat_activity where client_port > 0 and pid <> pg_backend_pid()"
            )
        }
        mine = int(str(redis.client_info()["addr"]).rpartition(":")[2])
        ports |= {int(client["addr"].rpartition(":")[2]) for client in redis.client_list()} - {mine}
    return ports - ports_of(house.processes())


def ports_of(pids: list[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            found |= {link.laddr.port for link in psutil.Process(pid).net_connections("tcp")}
        except psutil.NoSuchProcess:
            continue
    return found
