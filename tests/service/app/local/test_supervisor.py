"""Real child processes: they are restarted, stopped in time, and end with their parent."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.local import supervisor
from app.local.supervisor import Child, Command, Supervisor, run_to_end
from app.resources import ROOT
from tests.support.programs.processes import is_running, wait_for

# Prints when it has started and which signals it receives, and takes a second to end.
SLOW_TO_END = """
import signal, sys, time
def end(number, frame):
    print("child got", signal.Signals(number).name, flush=True)
    time.sleep(1)
    print("child ended", flush=True)
    sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
print("child started", flush=True)
while True:
    time.sleep(0.1)  # a signal immediately before a sleep does not interrupt it
"""

OWNER = f"""
import sys, time
from app.local.stop_signals import Stop, stop_on_signals
from app.local.supervisor import Command, Supervisor
child = Command("child", (sys.executable, "-c", {SLOW_TO_END!r}))
try:
    with stop_on_signals(), Supervisor([child]) as running:
        print("process", running.children[0].process.pid, flush=True)
        while True:
            time.sleep(0.1)
except Stop:
    print("owner ended", flush=True)
"""


def python(code: str, **options: float) -> Command:
    return Command("child", (sys.executable, "-c", code), **options)  # type: ignore[arg-type]


@pytest.fixture
def owner(tmp_path: Path) -> "Iterator[Owner]":
    owner = Owner(tmp_path / "output")
    yield owner
    owner.process.kill()
    owner.process.wait()


class Owner:
    """A process in its own process group that supervises one child that is slow to end."""

    def __init__(self, output: Path) -> None:
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                (sys.executable, "-c", OWNER), cwd=ROOT, stdout=out, stderr=out, start_new_session=True
            )
        wait_for(lambda: "child started" in self.printed() and "process" in self.printed())

    def printed(self) -> str:
        return self.output.read_text()

    def child(self) -> int:
        found = re.search(r"process (\d+)", self.printed())
        assert found
        return int(found[1])

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)


def test_a_child_that_ends_is_restarted_after_growing_pauses() -> None:
    child = Child(python("raise SystemExit(3)"))
    messages: list[str] = []
    starts: list[float] = []
    while len(starts) < 2:
        if message := child.check():
            messages.append(message)
            if message == "child started again":
                starts.append(time.monotonic())
        time.sleep(0.01)
    child.stop()
    assert messages[:2] == ["child ended with exit code 3; starting it again in 0.5 s", "child started again"]
    assert messages[2] == "child ended with exit code 3; starting it again in 1 s"
    assert 1 <= starts[1] - starts[0] < 3


def test_pauses_grow_to_half_a_minute_and_start_over_after_a_long_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child(python("raise SystemExit(3)"))
    messages = []
    for _ in range(8):
        child.process.wait()
        messages.append(child.check())
        child.restart()
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", 0)
    child.process.wait()
    messages.append(child.check())
    pauses = [float(str(message).split()[-2]) for message in messages]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.5]


def test_killed_child_is_named_with_its_signal() -> None:
    child = Child(python("import time; time.sleep(60)"))
    child.process.kill()
    child.process.wait()
    assert child.check() == "child was ended by SIGKILL; starting it again in 0.5 s"


def test_stop_signals_all_children_at_once_and_kills_those_that_do_not_end(tmp_path: Path) -> None:
    ignoring = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('child started', flush=True); time.sleep(60)"
    )
    logs = [tmp_path / str(place) for place in range(3)]
    commands = [
        replace(python(ignoring, stop_seconds=2), log=logs[0]),
        replace(python(SLOW_TO_END), log=logs[1]),
        replace(python(SLOW_TO_END), log=logs[2]),
    ]
    with Supervisor(commands) as running:
        wait_for(lambda: all("child started" in log.read_text() for log in logs))
        stopping = time.monotonic()
    assert 2 <= time.monotonic() - stopping < 2 + 1 + 1  # one after the other would take longer
    assert [child.process.returncode for child in running.children] == [-signal.SIGKILL, 0, 0]


def test_if_one_child_cannot_start_the_others_are_stopped(tmp_path: Path) -> None:
    no_folder = Command("none", ("true",), log=tmp_path / "nowhere" / "log")
    running = Supervisor([python("import time; time.sleep(60)"), no_folder])
    with pytest.raises(FileNotFoundError), running:
        pass
    assert [child.process.returncode for child in running.children] == [-signal.SIGTERM]


def test_ctrl_c_reaches_the_child_as_one_sigterm_and_a_second_breaks_nothing(owner: Owner) -> None:
    owner.press_ctrl_c()
    wait_for(lambda: "child got" in owner.printed())
    owner.press_ctrl_c()
    os.killpg(owner.process.pid, signal.SIGTERM)
    assert owner.process.wait(10) == 0
    lines = owner.printed().splitlines()
    assert lines[-3:] == ["child got SIGTERM", "child ended", "owner ended"]
    assert "SIGINT" not in owner.printed()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent death signal")
def test_children_of_a_killed_owner_end(owner: Owner) -> None:
    child = owner.child()
    assert is_running(child)
    owner.process.kill()
    owner.process.wait()
    wait_for(lambda: not is_running(child), seconds=5)
    assert "child got" not in owner.printed()


def test_run_to_end_returns_the_exit_code_like_a_shell() -> None:
    calls: list[float] = []
    code = run_to_end(python("raise SystemExit(7)"), meanwhile=lambda: calls.append(time.monotonic()))
    assert (code, len(calls) > 0) == (7, True)
    assert run_to_end(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == 137


def test_run_to_end_stops_the_command_after_an_exception() -> None:
    seen: list[int] = []

    def fail() -> None:
        seen.append(os.getpid())
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_to_end(python("import time; time.sleep(60)"), meanwhile=fail)
    assert time.monotonic() - started < 10
