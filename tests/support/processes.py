"""Waiting for processes and for what they do."""

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

GIVE_UP_SECONDS = 30.0  # no promise of ours: where one is tested, the test names its seconds


@dataclass(frozen=True)
class RunningStack:
    base_url: str
    home: Path
    process: subprocess.Popen[bytes]
    output: Path


def is_running(pid: int) -> bool:
    """Not so once it has ended, even if nobody has asked for its exit code yet."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for(condition: Callable[[], object], seconds: float = GIVE_UP_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come about"
        time.sleep(0.02)


def wait_until_gone(pids: Iterable[int], seconds: float = GIVE_UP_SECONDS) -> None:
    wait_for(lambda: not any(map(is_running, pids)), seconds)
