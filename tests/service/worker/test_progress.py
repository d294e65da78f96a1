"""A real worker reports its progress within a shard; what it reported is gone after it was killed."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.reports import REPORT_SECONDS
from app.local.servers import Servers
from app.settings import Settings
from tests.support.models.tiny import causal_model, save
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import NO_TLS, serving
from tests.support.programs.worker_process import start_worker

TEXTS = {"cpp": [f"int f{i}() {{ return {'x' * 300}; }}" for i in range(20)], "python": ["y = 1\n" * 60] * 20}
END_SECONDS = 90
STEP_SECONDS = 0.2


@pytest.fixture
def settings(embedded_servers: Servers, database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    save(causal_model(num_hidden_layers=12, hidden_size=64), tmp_path / "deep")
    models = tmp_path / "models.toml"
    models.write_text(f'[deep]\nsource = "{tmp_path / "deep"}"\ndevice = "cpu"\n')
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        redis_url=redis_url,
        models=models,
        sweep_seconds=0.5,
        lease_seconds=3,
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=END_SECONDS, verify=NO_TLS) as client:
        yield client


@contextmanager
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = start_worker(settings, "deep")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def in_steps(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """While entered, the process works for short steps with a report in each, however fast the machine is."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(STEP_SECONDS):
            process.send_signal(signal.SIGSTOP)
            ended.wait(REPORT_SECONDS)
            process.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def submit(client: httpx.Client) -> str:
    options = {"analyses": ["ablation", "logit_lens"], "analysis_texts": 10}
    answer = client.post("/v1/jobs", json={"texts": TEXTS, "options": options})
    assert answer.status_code == 202, answer.text
    return f"/v1/jobs/{answer.json()['id']}"


def states(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Those that the event stream sends."""
    with client.stream("GET", f"{path}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def processed(state: dict[str, Any]) -> int:
    progress = state["progress"]
    return int(progress["done"] + progress["failed"] + progress["measured"])


@pytest.mark.slow
def test_progress_moves_within_a_shard(client: httpx.Client, settings: Settings) -> None:
    path = submit(client)
    assert client.get(path).json()["progress"]["phase"] == "waiting"
    with worker(settings) as process:
        wait_for(lambda: client.get(path).json()["status"] == "running", END_SECONDS)
        with in_steps(process):
            found = list(states(client, path))
    assert found[-1]["status"] == "succeeded"
    within = [state for state in found if state["progress"]["done"] == 0 and state["progress"]["share"] > 0]
    shares = [state["progress"]["share"] for state in within]
    assert len(set(shares)) >= 3, shares
    everything = [state["progress"]["share"] for state in found]
    assert everything == sorted(everything)
    assert everything[-1] == 1
    counts = list(map(processed, found))
    assert counts == sorted(counts)
    assert max(map(processed, within)) == 40
    assert {name: of["measured"] for name, of in within[-1]["domains"].items()} == {"cpp": 20, "python": 20}
    assert all(state["progress"]["eta_seconds"] >= 0 for state in within)
    assert within[-1]["progress"]["tokens_per_second"] > 0
    phases = [state["progress"]["phase"] for state in found if state["progress"]["phase"]]
    assert "analysing" in phases
    assert all("measured" not in of for of in found[-1]["domains"].values())


@pytest.mark.slow
def test_the_numbers_of_a_killed_worker_are_not_counted(client: httpx.Client, settings: Settings) -> None:
    path = submit(client)
    with worker(settings) as process:
        wait_for(lambda: client.get(path).json()["status"] == "running", END_SECONDS)
        with in_steps(process):
            wait_for(lambda: processed(client.get(path).json()) > 0, END_SECONDS)
    wait_for(lambda: processed(client.get(path).json()) == 0, 10)
    with worker(settings):
        found = list(states(client, path))
    assert found[-1]["progress"]["done"] == 40
    counts = list(map(processed, found))
    assert max(counts) == 40
    assert all(one <= other for one, other in pairwise(counts))
