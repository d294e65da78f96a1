"""The whole service under its own command: what ends is restarted, and nothing remains after the end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from app.local.servers import running_servers
from app.resources import MODELS, ROOT
from tests.support.deployment.platforms import AS_ON_WINDOWS
from tests.support.programs.processes import RunningStack, is_running, wait_for, wait_until_gone
from tests.support.programs.serving import NO_TLS
from worker.process import NICENESS


class Command:
    """A `layerscope` command in its own process group, like a command that a shell starts in a terminal."""

    def __init__(self, home: Path, output: Path, program: tuple[str, ...], *arguments: str) -> None:
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                (sys.executable, *program, *arguments),
                cwd=ROOT,
                env={**os.environ, "LAYERSCOPE_HOME": str(home)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def printed(self) -> str:
        return self.output.read_text()

    def base_url(self) -> str:
        wait_for(lambda: "ready at" in self.printed() or self.process.poll() is not None, seconds=180)
        found = re.search(r"ready at (http://\S+)", self.printed())
        assert found, self.printed()
        return found[1]

    def press_ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def layerscope(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(
        *arguments: str, home: Path = tmp_path / "home", program: tuple[str, ...] = ("-m", "app.cli")
    ) -> Command:
        started.append(Command(home, tmp_path / f"output-{len(started)}", program, *arguments))
        return started[-1]

    yield start
    for command in started:
        command.process.terminate()
        command.process.wait(60)


def children(pid: int) -> dict[int, str]:
    """Process ids and command lines of the children that do not end during the call."""
    found = {}
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            found[child.pid] = " ".join(child.cmdline())
    return found


def child(pid: int, mark: str) -> int:
    (found,) = [number for number, line in children(pid).items() if mark in line]
    return found


def is_ready(base_url: str) -> bool:
    try:
        answer = httpx.get(f"{base_url}/health/ready", trust_env=False, verify=NO_TLS)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and "degraded" not in answer.json()


def test_up_serves_the_first_model(stack: RunningStack) -> None:
    assert is_ready(stack.base_url)
    lines = list(children(stack.process.pid).values())
    assert len(lines) == 4
    assert [line for line in lines if "-m worker --model demo" in line]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no niceness")
def test_a_worker_gives_way_to_requests(stack: RunningStack) -> None:
    own = psutil.Process().nice()
    found = {
        psutil.Process(pid).nice() - own
        for pid, line in children(stack.process.pid).items()
        if "-m worker" in line
    }
    assert found == {NICENESS}


@pytest.mark.slow
def test_a_killed_process_is_restarted_at_its_address(layerscope: Callable[..., Command]) -> None:
    up = layerscope("up", "--port", "0")
    base_url, pid = up.base_url(), up.process.pid
    for mark, name in (
        ("app.cli api", "API"),
        ("-m worker", "worker of demo"),
        ("postgres -D", "PostgreSQL"),
        ("valkey-server", "Valkey"),
    ):
        os.kill(child(pid, mark), signal.SIGKILL)
        wait_for(lambda name=name: f"{name} started again" in up.printed())  # type: ignore[misc]
        assert f"{name} was ended by SIGKILL; starting it again in 0.5 s" in up.printed()
        wait_for(lambda: is_ready(base_url))
    before = list(children(pid))
    assert up.press_ctrl_c() == 0
    wait_until_gone(before, seconds=0.5)


@pytest.mark.slow
def test_ctrl_c_twice_ends_everything_in_order(layerscope: Callable[..., Command], tmp_path: Path) -> None:
    up = layerscope("up", "--port", "0", "--workers", "2")
    base_url = up.base_url()
    before = list(children(up.process.pid))
    assert len(before) == 5
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.press_ctrl_c() == 0
    wait_until_gone(before, seconds=0.5)
    assert up.printed().splitlines() == [
        f"Model list: {MODELS}",
        f"Layerscope is loading demo. Its page is at {base_url}.",
        f"Layerscope is ready at {base_url} (Ctrl-C stops it).",
    ]
    log = (tmp_path / "home" / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log
    assert (
        "terminating connection due to administrator command" not in log
    )  # its clients had disconnected before


@pytest.mark.slow
def test_after_up_was_killed_no_process_remains_and_it_can_start_again(
    layerscope: Callable[..., Command],
) -> None:
    up = layerscope("up", "--port", "0")
    up.base_url()
    before = list(children(up.process.pid))
    up.process.kill()
    up.process.wait()
    wait_until_gone(before)
    assert is_ready(layerscope("up", "--port", "0").base_url())


@pytest.mark.slow
def test_commands_share_the_running_servers(
    layerscope: Callable[..., Command], tmp_path: Path, free_tcp_port: int
) -> None:
    with running_servers(tmp_path / "home") as running:
        assert layerscope("migrate").process.wait(60) == 0
        api = layerscope("api", "--port", str(free_tcp_port))
        worker = layerscope("worker", "--model", "demo")
        wait_for(lambda: children(worker.process.pid))
        wait_for(lambda: is_ready(f"http://127.0.0.1:{free_tcp_port}"))
        assert worker.press_ctrl_c() == 0
        assert api.press_ctrl_c() == 0
        assert all(server.is_alive() for server in running.children)


@pytest.mark.slow
def test_up_is_refused_while_another_process_runs_the_servers(
    layerscope: Callable[..., Command], tmp_path: Path
) -> None:
    """It would lose them when the other process ends."""
    with running_servers(tmp_path / "home"):
        up = layerscope("up", "--port", "0")
        assert up.process.wait(60) == 2
    assert f"Another process already runs the servers in {tmp_path / 'home'}" in up.printed()


@pytest.mark.slow
def test_up_waits_for_a_short_command(layerscope: Callable[..., Command], tmp_path: Path) -> None:
    with running_servers(tmp_path / "home"):
        up = layerscope("up", "--port", "0")
        time.sleep(3)
    assert is_ready(up.base_url())


@pytest.mark.slow
def test_up_survives_a_closed_output(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        up = subprocess.Popen(
            (sys.executable, "-m", "app.cli", "up", "--port", "0"),
            cwd=ROOT,
            env={**os.environ, "LAYERSCOPE_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert up.stdout is not None
    with up.stdout:  # closed after the line, as by `| head`
        base_url = next(line.split()[4].decode() for line in up.stdout if b"ready at" in line)
    os.kill(child(up.pid, "app.cli api"), signal.SIGKILL)  # its end and its restart are printed
    wait_for(lambda: "app.cli api" in str(children(up.pid)), seconds=30)
    wait_for(lambda: is_ready(base_url), seconds=60)
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0
    assert b"BrokenPipe" not in (tmp_path / "errors").read_bytes()


def test_with_external_servers_the_worker_command_is_replaced_by_the_worker(
    layerscope: Callable[..., Command],
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAYERSCOPE_DATABASE_URL", database_url)
    monkeypatch.setenv("LAYERSCOPE_REDIS_URL", redis_url)
    worker = layerscope("worker", "--model", "demo")
    line = Path(f"/proc/{worker.process.pid}/cmdline")
    wait_for(lambda: "-m\0worker\0--model\0demo" in line.read_text())
    assert is_running(worker.process.pid)


@pytest.mark.slow
def test_up_works_with_external_servers_on_a_platform_without_embedded_ones(
    layerscope: Callable[..., Command],
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAYERSCOPE_DATABASE_URL", database_url)
    monkeypatch.setenv("LAYERSCOPE_REDIS_URL", redis_url)
    program = tmp_path / "as_on_windows.py"
    program.write_text(f"{AS_ON_WINDOWS}\nfrom app.cli import main\nmain()\n")
    up = layerscope("up", "--port", "0", program=(str(program),))
    base_url = up.base_url()
    assert is_ready(base_url)
    before = list(children(up.process.pid))
    assert len(before) == 2
    os.kill(child(up.process.pid, "app.cli api"), signal.SIGKILL)
    wait_for(lambda: "API started again" in up.printed())
    wait_for(lambda: is_ready(base_url), seconds=60)
    before = list(children(up.process.pid))
    assert up.press_ctrl_c() == 0
    wait_until_gone(before, seconds=0.5)


@pytest.mark.slow
def test_up_serves_a_folder_and_ends_with_the_reason_if_a_model_can_never_be_loaded(
    layerscope: Callable[..., Command], tmp_path: Path
) -> None:
    broken = tmp_path / "my-llama"
    shutil.copytree(ROOT / "demo" / "model", broken)
    weights = next(broken.glob("*.safetensors"))
    moved = weights.rename(tmp_path / "weights")
    up = layerscope("up", "--port", "0", "--model", str(broken))
    assert up.process.wait(90) == 2
    assert re.search(r"Layerscope is loading my-llama\. Its page is at http://\S+", up.printed())
    last = up.printed().splitlines()[-1]
    assert last.startswith("The model my-llama cannot be loaded: ")
    assert "safetensors" in last
    assert "ready" not in up.printed()
    assert not (tmp_path / "home" / "postgres" / "postmaster.pid").exists()
    moved.rename(weights)
    up = layerscope("up", "--port", "0", "--model", str(broken))
    models = httpx.get(f"{up.base_url()}/v1/models", verify=NO_TLS).json()["data"]
    alive = {model["name"]: model["workers_alive"] for model in models}
    assert alive == {"demo": 0, "llama-3.2-3b": 0, "my-llama": 1}


@pytest.mark.slow
def test_an_interrupted_profile_stops_the_processes_that_it_started(
    layerscope: Callable[..., Command], tmp_path: Path
) -> None:
    profile = layerscope("profile", "--out", str(tmp_path / "out"))
    wait_for(
        lambda: "app.commands.measuring_process" in str(children(profile.process.pid)),
        seconds=60,
    )
    before = list(children(profile.process.pid))
    assert profile.press_ctrl_c() == 130
    wait_until_gone(before, seconds=0.5)
    assert "Traceback" not in profile.printed()


@pytest.mark.slow
def test_a_rejected_profile_prints_the_reason_and_stops_the_processes_that_it_started(
    layerscope: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERSCOPE_TEXTS_PER_JOB_LIMIT", "1")
    profile = layerscope("profile", "--out", str(tmp_path / "out"))
    assert profile.process.wait(60) == 2
    assert "The number of texts exceeds the limit of 1" in profile.printed()
    assert "Traceback" not in profile.printed()
    assert not (tmp_path / "home" / "servers.json").exists()
    assert not (tmp_path / "home" / "postgres" / "postmaster.pid").exists()
