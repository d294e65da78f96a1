"""A complete service for fault injection: its own servers, and the stack under the project's supervisor."""

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
from app.local.postgres import make_database
from app.local.servers import Servers, running_servers
from app.local.stack import Stack, running_stack
from app.local.supervisor import Child
from app.local.valkey import ping
from app.settings import Settings
from tests.faults.support.injection import INJECTED, Event, Injection
from tests.faults.support.scale import SCALE, SEED, TEXTS_PER_SHARD, WORKERS
from tests.support.programs.processes import wait_for

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


class RunningService:
    """What tests do to the service, and what they observe from outside."""

    def __init__(self, running: Servers, servers_home: Path, stack: Stack, injection: Injection) -> None:
        self.base_url = stack.base_url
        self.valkey_folder = servers_home / "valkey"
        self.servers = running
        self.postgres, self.valkey = running.children
        self.api, *self.workers = stack.supervisor.children
        self.injection = injection
        self.allows_503 = False  # whether the API may answer the documented 503
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
        died = self.injection.inject("kill", point, seconds=60)
        for child in self.workers:
            if child.process.pid == died.pid:
                # While the supervisor's thread polls the process, `is_alive` may still return True.
                child.process.wait()
        return died

    def recovery(self, died: Event) -> float | None:
        """Seconds until another process continued the work of the killed one. None: not yet."""
        shard = self.injection.held_by(died.pid, died.at)
        later = self.injection.events("claimed", since=died.at)
        if shard is None:
            later += self.injection.events("finalized", since=died.at)
        continued = [e.at for e in later if shard is None or e.shard == shard]
        return min(continued) - died.at if continued else None

    def is_committed(self, job: str, number: int) -> bool:
        """Whether the shard of a job is committed in the database."""
        statement = "select done_at is not null from shard where job_id = %s and number = %s"
        with self.database() as connection:
            row = connection.execute(statement, (job, number)).fetchone()
        return row == (True,)

    def stop_postgres(self) -> None:
        """Stop PostgreSQL in immediate mode: no connection is closed properly."""
        self.postgres.process.send_signal(signal.SIGQUIT)
        self.postgres.process.wait()

    def start_postgres(self) -> None:
        self.postgres.restart()
        wait_for(lambda: answers(lambda: make_database(self.servers.database_url)), 60)

    def kill_valkey(self) -> None:
        self.valkey.process.kill()
        self.valkey.process.wait()

    @contextmanager
    def killed_valkey(self) -> Iterator[None]:
        self.kill_valkey()
        try:
            yield
        finally:
            self.start_valkey()

    @contextmanager
    def paused_valkey(self) -> Iterator[None]:
        """Valkey still accepts connections and answers no command."""
        self.valkey.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
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
    """Only one component, so that a job is finalized quickly."""
    domains: dict[str, list[str]] = {}
    for domain, text in texts:
        domains.setdefault(domain, []).append(text)
    return {"model": MODEL, "texts": domains, "options": {"components": ["block"]}}


def headers_of(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


@contextmanager
def running_service(folder: Path, model: Path) -> Iterator[RunningService]:
    models = folder / "models.toml"
    models.write_text(f'[{MODEL}]\nsource = "{model}"\ndevice = "cpu"\n')
    injection = Injection(folder / "faults")
    with running_servers(folder / "servers") as running, pytest.MonkeyPatch.context() as patch:
        # The supervisor must not take the many injected deaths for a crash loop: it keeps its pauses short.
        patch.setattr(supervisor, "STEADY_SECONDS", 0)
        python_path = [str(INJECTED), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = {
            "LAYERSCOPE_HOME": folder / "home",
            "LAYERSCOPE_MODELS": models,
            "LAYERSCOPE_LEASE_SECONDS": SCALE.lease_seconds,
            "LAYERSCOPE_SWEEP_SECONDS": SCALE.sweep_seconds,
            "LAYERSCOPE_DRAIN_SECONDS": SCALE.lease_seconds,
            "LAYERSCOPE_SHARD_TEXTS": TEXTS_PER_SHARD,
            "LAYERSCOPE_DATABASE_URL": running.database_url,
            "LAYERSCOPE_REDIS_URL": running.redis_url,
            "PYTHONPATH": os.pathsep.join(python_path),
            "FAULTS_FOLDER": injection.folder,
        }
        with _stack_in_a_thread(variables) as stack:
            stack.wait_until_ready()
            service = RunningService(running, folder / "servers", stack, injection)
            service.wait_for_workers()
            yield service
            service.client.close()


@contextmanager
def _stack_in_a_thread(variables: dict[str, object]) -> Iterator[Stack]:
    """The thread that starts the processes also watches and stops them, since they end with that thread."""
    started, stopping = threading.Event(), threading.Event()
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
            while not stopping.wait(0.05):
                stack.supervisor.check()

    thread = threading.Thread(target=run, name="stack")
    thread.start()
    started.wait()
    try:
        assert stacks, "the stack did not start"
        yield stacks[0]
    finally:
        stopping.set()
        thread.join()
