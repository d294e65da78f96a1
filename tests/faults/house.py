"""A whole Layerscope to break: servers of its own, and the stack under the project's own supervisor."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from redis import Redis, RedisError

from app.local import supervisor
from app.local.embedded import Servers, servers
from app.local.programs import make_database, ping
from app.local.stack import Stack, running_stack
from app.local.supervisor import Child
from app.settings import Settings
from tests.faults.injection import INJECTED, Event, Injection
from tests.faults.scale import SCALE, SEED, TEXTS_PER_SHARD, WORKERS
from tests.support.processes import wait_for

MODEL = "tiny"
START_SECONDS = 90
DOMAINS = ("cpp", "python")


def random_texts(count: int) -> list[tuple[str, str]]:
    words = ("int", "x", "=", "return", "def", "self", "else", "while", "print", "[0]", "let", "mut", "fn")
    draw = random.Random(SEED)
    return [
        (DOMAINS[i % len(DOMAINS)], f"{i} " + " ".join(draw.choices(words, k=draw.randint(2, 40))))
        for i in range(count)
    ]


class House:
    """What the tests do to it, and see of it from outside."""

    def __init__(self, running: Servers, servers_home: Path, stack: Stack, injection: Injection) -> None:
        self.base_url = stack.base_url
        self.valkey_folder = servers_home / "valkey"
        self.servers = running
        self.postgres, self.valkey = running.children
        self.api, *self.workers = stack.supervisor.children
        self.injection = injection
        self.outage = False  # whether the documented 503 may be answered
        self.client = httpx.Client(base_url=self.base_url, timeout=30, trust_env=False)

    def submit(self, texts: list[tuple[str, str]], key: str | None = None) -> str:
        answer = self.client.post("/v1/jobs", json=request_of(texts), headers=headers_of(key))
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def file(self, job_id: str, name: str) -> bytes:
        answer = self.client.get(f"/v1/jobs/{job_id}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.content

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            yield connection

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        with Redis.from_url(self.servers.redis_url) as client:
            yield client

    def ready_workers(self) -> list[Child]:
        ready = {event.pid for event in self.injection.events("ready")}
        return [child for child in self.workers if child.is_alive() and child.process.pid in ready]

    def wait_for_workers(self, seconds: float = START_SECONDS) -> None:
        wait_for(lambda: len(self.ready_workers()) == len(self.workers), seconds)

    def processes(self) -> list[int]:
        return [child.process.pid for child in (self.api, *self.workers) if child.is_alive()]

    def kill_at(self, point: str) -> Event:
        died = self.injection.inflict("kill", point, seconds=60)
        for child in self.workers:
            if child.process.pid == died.pid:
                child.process.wait()  # while the supervisor's thread polls it, `is_alive` may still say yes
        return died

    def recovery(self, died: Event) -> float | None:
        """Seconds until somebody went on with what the dead process had in hand; None: not yet."""
        shard = self.injection.held_by(died.pid, died.at)
        later = self.injection.events("claimed", since=died.at)
        if shard is None:
            later += self.injection.events("finalized", since=died.at)
        heirs = [e.at for e in later if shard is None or e.shard == shard]
        return min(heirs) - died.at if heirs else None

    def stop_postgres(self) -> None:
        """At once, without a word to anybody: "immediate" mode."""
        self.postgres.process.send_signal(signal.SIGQUIT)
        self.postgres.process.wait()

    def start_postgres(self) -> None:
        self.postgres.restart()
        wait_for(lambda: answers(lambda: make_database(self.servers.database_url)), 60)

    def kill_valkey(self) -> None:
        self.valkey.process.kill()
        self.valkey.process.wait()

    def stall_valkey(self) -> None:
        """It takes connections and answers nobody."""
        self.valkey.process.send_signal(signal.SIGSTOP)

    def unstall_valkey(self) -> None:
        self.valkey.process.send_signal(signal.SIGCONT)

    def start_valkey(self) -> None:
        self.valkey.restart()
        wait_for(lambda: answers(lambda: ping(self.servers.redis_url)), 60)


def answers(call: Callable[[], None]) -> bool:
    try:
        call()
    except (psycopg.OperationalError, RedisError):
        return False
    return True


def request_of(texts: list[tuple[str, str]]) -> dict[str, object]:
    domains: dict[str, list[str]] = {}
    for domain, text in texts:
        domains.setdefault(domain, []).append(text)
    return {"model": MODEL, "texts": domains, "options": {"components": ["block"]}}  # closed in a moment


def headers_of(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


@contextmanager
def standing_house(folder: Path, model: Path) -> Iterator[House]:
    models = folder / "models.toml"
    models.write_text(f'[{MODEL}]\nsource = "{model}"\ndevice = "cpu"\n')
    injection = Injection(folder / "faults")
    with servers(folder / "servers") as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "STEADY_SECONDS", 0)  # a matrix of deaths is no crash loop: short pauses
        variables = {
            "LAYERSCOPE_HOME": folder / "home",
            "LAYERSCOPE_MODELS": models,
            "LAYERSCOPE_LEASE_SECONDS": SCALE.lease_seconds,
            "LAYERSCOPE_SWEEP_SECONDS": SCALE.sweep_seconds,
            "LAYERSCOPE_DRAIN_SECONDS": SCALE.lease_seconds,
            "LAYERSCOPE_SHARD_TEXTS": TEXTS_PER_SHARD,
            "LAYERSCOPE_DATABASE_URL": running.database_url,
            "LAYERSCOPE_REDIS_URL": running.redis_url,
            "PYTHONPATH": os.pathsep.join([str(INJECTED), os.environ.get("PYTHONPATH", "")]).strip(
                os.pathsep
            ),
            "FAULTS_FOLDER": injection.folder,
        }
        with _stack_in_a_thread(variables) as stack:
            stack.wait_until_ready()
            house = House(running, folder / "servers", stack, injection)
            house.wait_for_workers()
            yield house
            house.client.close()


@contextmanager
def _stack_in_a_thread(variables: dict[str, object]) -> Iterator[Stack]:
    """The thread that starts the processes also watches and stops them: they are tied to it."""
    started, leaving = threading.Event(), threading.Event()
    stacks: list[Stack] = []

    def run() -> None:
        with ExitStack() as exits:
            try:
                with pytest.MonkeyPatch.context() as patch:
                    for name, value in variables.items():
                        patch.setenv(name, str(value))
                    stack = exits.enter_context(running_stack(Settings(), "127.0.0.1", 0, WORKERS, [MODEL]))
                stacks.append(stack)
            finally:
                started.set()
            while not leaving.wait(0.05):
                stack.supervisor.check()

    thread = threading.Thread(target=run, name="stack")
    thread.start()
    started.wait()
    try:
        assert stacks, "the stack did not start"
        yield stacks[0]
    finally:
        leaving.set()
        thread.join()
