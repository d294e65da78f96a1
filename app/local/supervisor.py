"""Child processes that end with this process: started, watched, restarted, and stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from app.local.stop_signals import pause

HAS_PARENT_DEATH_SIGNAL = sys.platform == "linux"
# Runs before the program of a child: the kernel shall send the child a signal when this process dies (1 is
# PR_SET_PDEATHSIG). It is not a `preexec_fn`, because that can deadlock in a process with threads.
SET_PARENT_DEATH_SIGNAL = """
import ctypes, os, sys
parent, number = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(1, number)
if os.getppid() == parent:  # otherwise the parent died before the call
    os.execvp(sys.argv[3], sys.argv[3:])
"""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
POLL_SECONDS = 0.1
STEADY_SECONDS = 60.0  # after a run of this length the next restart uses the first pause again


def report(message: str) -> None:
    """Print a line. The service continues if nobody reads its output any more, as after `| head`."""
    try:
        print(message, flush=True)
    except OSError:  # Python would write what is left at its end, and fail again
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@dataclass(frozen=True)
class Command:
    """A program and how to stop it."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] | None = None  # None: the environment of this process
    stdin: str = ""
    log: Path | None = None  # None: the output of this process
    pass_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 25
    parent_death_signal: signal.Signals | None = None  # sent when this process dies first; None: SIGKILL


def spawn(command: Command) -> subprocess.Popen[bytes]:
    """Start a process that a terminal's Ctrl-C does not reach and that, on Linux, does not outlive this one.

    The kernel sends the parent death signal when the calling thread ends, so the thread must live as long as
    the child.
    """
    with ExitStack() as stack:
        log = stack.enter_context(command.log.open("ab")) if command.log else None
        process = subprocess.Popen(
            _arguments(command),
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=command.environment,
            pass_fds=command.pass_fds,
            start_new_session=True,
        )
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stdin:  # the process may have ended already
            stdin.write(command.stdin.encode())
    return process


def _arguments(command: Command) -> tuple[str, ...]:
    if not HAS_PARENT_DEATH_SIGNAL:
        return command.arguments
    number = command.parent_death_signal or signal.SIGKILL
    wrapper = (sys.executable, "-I", "-S", "-c", SET_PARENT_DEATH_SIGNAL, str(os.getpid()), str(int(number)))
    return (*wrapper, *command.arguments)


class Child:
    """A command that is kept running: it is restarted when it ends, after a pause that grows."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process = spawn(command)
        self._started = time.monotonic()
        self._pause = FIRST_PAUSE_SECONDS
        self._restart_at: float | None = None

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def check(self) -> str | None:
        """Restart the command if it has ended and the pause is over. Returns a message if there is one."""
        if self.is_alive():
            return None
        if self._restart_at is None:
            return self._plan_restart()
        if time.monotonic() < self._restart_at:
            return None
        self.restart()
        return f"{self.command.name} started again"

    def _plan_restart(self) -> str:
        now = time.monotonic()
        if now - self._started >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._restart_at = now + pause
        return f"{self.command.name} {_end_of(self.process)}; starting it again in {pause:g} s"

    def restart(self) -> None:
        self.process = spawn(self.command)
        self._started = time.monotonic()
        self._restart_at = None

    def send_stop_signal(self) -> None:
        if self.is_alive():
            self.process.send_signal(self.command.stop_signal)

    def wait_or_kill(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        self.send_stop_signal()
        self.wait_or_kill(self.command.stop_seconds)


def _end_of(process: subprocess.Popen[bytes]) -> str:
    if process.returncode < 0:
        return f"was ended by {signal.Signals(-process.returncode).name}"
    return f"ended with exit code {process.returncode}"


def run_to_end(command: Command, meanwhile: Callable[[], None] = lambda: None) -> int:
    """Run a command once and return its exit code, like a shell. An exception in this process stops it."""
    child = Child(command)
    try:
        while child.is_alive():
            meanwhile()
            pause(POLL_SECONDS)
    finally:
        child.stop()
    code = child.process.returncode
    return code if code >= 0 else 128 - code


class Supervisor:
    """Children that run side by side and stop together."""

    def __init__(self, commands: Sequence[Command], watched: Sequence[Child] = ()) -> None:
        """`watched`: children that another owner stops. The supervisor only restarts them."""
        self._commands = commands
        self._watched = watched
        self.children: list[Child] = []

    def __enter__(self) -> "Supervisor":
        try:
            for command in self._commands:
                self.children.append(Child(command))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        for child in (*self._watched, *self.children):
            message = child.check()
            if message:
                report(message)

    def stop(self) -> None:
        """Send all stop signals at once, give each child its time, then kill."""
        for child in self.children:
            child.send_stop_signal()
        sent = time.monotonic()
        for child in self.children:
            child.wait_or_kill(max(0, child.command.stop_seconds - (time.monotonic() - sent)))
