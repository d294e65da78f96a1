"""Child processes that end with us: started, watched, started again, stopped in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

CAN_TIE = sys.platform == "linux"
# Run before a child's own program, where the kernel can be told to end it with us: 1 is PR_SET_PDEATHSIG.
# Not a `preexec_fn`, which may deadlock in a process with threads.
TIE = """
import ctypes, os, sys
owner, orphan_signal = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(1, orphan_signal)
if os.getppid() == owner:  # else it died before the kernel was told
    os.execvp(sys.argv[3], sys.argv[3:])
"""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
POLL_SECONDS = 0.1
STEADY_SECONDS = 60.0  # a child that lived so long starts over with the first pause

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(KeyboardInterrupt):
    """The first SIGINT, SIGTERM or SIGHUP, raised in the main thread wherever it stands.

    A KeyboardInterrupt, since psycopg and subprocess know what to do about one.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `Stop` at the first stop signal and swallow later ones, so that nothing breaks the way out."""
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        for number, handler in previous.items():
            if handler is not signal.SIG_IGN:  # nohup and a shell's `&` mean what they say
                signal.signal(number, _stop)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_stop_signals()
    raise Stop(number)


def ignore_stop_signals() -> None:
    """For a way out that began without a signal."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _stop:
            # A function rather than SIG_IGN, which a child would inherit.
            signal.signal(number, lambda number, frame: None)


@dataclass(frozen=True)
class Command:
    """What to run, and how it wants to be ended."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] | None = None  # None: ours
    stdin: str = ""
    log: Path | None = None  # None: our own output
    pass_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 25
    orphan_signal: signal.Signals = signal.SIGKILL  # what it gets when we die without stopping it


def spawn(command: Command) -> subprocess.Popen[bytes]:
    """Start a process that a terminal's Ctrl-C does not reach and that does not outlive us (on Linux).

    The kernel ties the child to the calling thread, so that thread has to live as long as the child.
    """
    with ExitStack() as stack:
        log = stack.enter_context(command.log.open("ab")) if command.log else None
        process = subprocess.Popen(
            _tied(command),
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=command.environment,
            pass_fds=command.pass_fds,
            start_new_session=True,
        )
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stdin:  # it may have ended already
            stdin.write(command.stdin.encode())
    return process


def _tied(command: Command) -> tuple[str, ...]:
    if not CAN_TIE:
        return command.arguments
    tie = (sys.executable, "-I", "-S", "-c", TIE, str(os.getpid()), str(int(command.orphan_signal)))
    return (*tie, *command.arguments)


class Child:
    """One command kept running: started again when it ends, with growing pauses."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process = spawn(command)
        self._started = time.monotonic()
        self._pause = FIRST_PAUSE_SECONDS
        self._due: float | None = None

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def check(self) -> str | None:
        """Start it again if it has ended and its pause is over; what there is to tell, if anything."""
        if self.is_alive():
            return None
        if self._due is None:
            return self._plan_restart()
        if time.monotonic() < self._due:
            return None
        self.restart()
        return f"{self.command.name} started again"

    def _plan_restart(self) -> str:
        now = time.monotonic()
        if now - self._started >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._due = now + pause
        return f"{self.command.name} {_ending(self.process.returncode)}; starting it again in {pause:g} s"

    def restart(self) -> None:
        self.process = spawn(self.command)
        self._started = time.monotonic()
        self._due = None

    def ask_to_stop(self) -> None:
        if self.is_alive():
            self.process.send_signal(self.command.stop_signal)

    def wait_or_kill(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        self.ask_to_stop()
        self.wait_or_kill(self.command.stop_seconds)


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def run_to_end(command: Command, meanwhile: Callable[[], None] = lambda: None) -> int:
    """The exit code, as a shell counts it; the command is stopped if we are."""
    child = Child(command)
    try:
        while child.is_alive():
            meanwhile()
            time.sleep(POLL_SECONDS)
    finally:
        child.stop()
    code = child.process.returncode
    return code if code >= 0 else 128 - code


class Supervisor:
    """Children that run side by side and stop together."""

    def __init__(self, commands: Sequence[Command], watched: Sequence[Child] = ()) -> None:
        """`watched`: children of someone else, who also stops them; here they are only started again."""
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
            news = child.check()
            if news:
                print(news, flush=True)

    def stop(self) -> None:
        """Ask all of them at once, wait for as long as each may take, then kill."""
        for child in self.children:
            child.ask_to_stop()
        asked = time.monotonic()
        for child in self.children:
            child.wait_or_kill(max(0, child.command.stop_seconds - (time.monotonic() - asked)))
