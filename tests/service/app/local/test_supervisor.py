"""Real child processes: restarted, stopped in time, and gone when their owner is."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.local import supervisor
from app.local.supervisor import Child, Command, Supervisor, run_to_end
from app.settings import ROOT
from tests.support.processes import is_running, wait_for

# Says when it is there and which signals it gets, and takes a second to leave.
SLOW_LEAVER = """
import signal, sys, time
def leave(number, frame):
    print("child got", signal.Signals(number).name, flush=True)
    time.sleep(1)
    print("child left", flush=True)
    sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, leave)
print("child is there", flush=True)
while True:
    time.sleep(60)
"""

OWNER = f"""
import sys, time
from app.local.supervisor import Command, Stop, Supervisor, ignore_stop_signals, stop_on_signals
child = Command("child", (sys.executable, "-c", {SLOW_LEAVER!r}))
try:
    with stop_on_signals(), Supervisor([child]) as running:
        print("process", running.children[0].process.pid, flush=True)
        while True:
            time.sleep(60)
except Stop:
    print("owner left", flush=True)
"""


def python(code: str, **options: float) -> Command:
    return Command("child", (sys.executable, "-c", code), **options)  # type: ignore[arg-type]


@pytest.fixture
def owner(tmp_path: Path) -> "Owner":
    return Owner(tmp_path / "output")


class Owner:
    """A process of its own, and group of its own, that supervises one slow child."""

    def __init__(self, output: Path) -> None:
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                (sys.executable, "-c", OWNER), cwd=ROOT, stdout=out, stderr=out, start_new_session=True
            )
        wait_for(lambda: "child is there" in self.said() and "process" in self.said())

    def said(self) -> str:
        return self.output.read_text()

    def child(self) -> int:
        found = re.search(r"process (\d+)", self.said())
        assert found
        return int(found[1])

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)


def test_ended_child_is_started_again_with_growing_pauses() -> None:
    child = Child(python("raise SystemExit(3)"))
    news: list[str] = []
    starts: list[float] = []
    while len(starts) < 2:
        if said := child.check():
            news.append(said)
            if said == "child started again":
                starts.append(time.monotonic())
        time.sleep(0.01)
    child.stop()
    assert news[:2] == ["child ended with exit code 3; starting it again in 0.5 s", "child started again"]
    assert news[2] == "child ended with exit code 3; starting it again in 1 s"
    assert 1 <= starts[1] - starts[0] < 3


def test_pauses_grow_to_half_a_minute_and_begin_anew_after_a_steady_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = Child(python("raise SystemExit(3)"))
    said = []
    for _ in range(8):
        child.process.wait()
        said.append(child.check())
        child.restart()
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", 0)
    child.process.wait()
    said.append(child.check())
    pauses = [float(str(line).split()[-2]) for line in said]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.5]


def test_killed_child_is_named_with_its_signal() -> None:
    child = Child(python("import time; time.sleep(60)"))
    child.process.kill()
    child.process.wait()
    assert child.check() == "child was ended by SIGKILL; starting it again in 0.5 s"


def test_stop_asks_all_at_once_and_kills_who_does_not_go(capfd: pytest.CaptureFixture[str]) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n"
    commands = [
        python(deaf + "time.sleep(60)", stop_seconds=2),
        python(SLOW_LEAVER),
        python(SLOW_LEAVER),
    ]
    said = ""

    def all_there() -> bool:
        nonlocal said
        said += capfd.readouterr().out
        return said.count("child is there") == 2 and "deaf" in said

    with Supervisor(commands) as running:
        wait_for(all_there)
        stopping = time.monotonic()
    assert 2 <= time.monotonic() - stopping < 2 + 1 + 1  # so long it takes one after the other
    assert [child.process.returncode for child in running.children] == [-signal.SIGKILL, 0, 0]


def test_children_that_started_are_stopped_where_one_cannot_be(tmp_path: Path) -> None:
    no_folder = Command("none", ("true",), log=tmp_path / "nowhere" / "log")
    running = Supervisor([python("import time; time.sleep(60)"), no_folder])
    with pytest.raises(FileNotFoundError), running:
        pass
    assert [child.process.returncode for child in running.children] == [-signal.SIGTERM]


def test_ctrl_c_reaches_the_child_as_one_sigterm_and_a_second_breaks_nothing(owner: Owner) -> None:
    owner.press_ctrl_c()
    wait_for(lambda: "child got" in owner.said())
    owner.press_ctrl_c()
    os.killpg(owner.process.pid, signal.SIGTERM)
    assert owner.process.wait(10) == 0
    lines = owner.said().splitlines()
    assert lines[-3:] == ["child got SIGTERM", "child left", "owner left"]
    assert "SIGINT" not in owner.said()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its owner")
def test_children_of_a_killed_owner_are_gone(owner: Owner) -> None:
    child = owner.child()
    assert is_running(child)
    owner.process.kill()
    owner.process.wait()
    wait_for(lambda: not is_running(child), seconds=5)
    assert "child got" not in owner.said()


def test_run_to_end_tells_the_exit_code_as_a_shell_does() -> None:
    calls: list[float] = []
    code = run_to_end(python("raise SystemExit(7)"), meanwhile=lambda: calls.append(time.monotonic()))
    assert (code, len(calls) > 0) == (7, True)
    assert run_to_end(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == 137


def test_run_to_end_stops_the_command_when_it_is_left() -> None:
    seen: list[int] = []

    def leave() -> None:
        seen.append(os.getpid())
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_to_end(python("import time; time.sleep(60)"), meanwhile=leave)
    assert time.monotonic() - begun < 10
