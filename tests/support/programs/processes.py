"""Waits for processes and for what they do."""

import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

GIVE_UP_SECONDS = 90.0  # not a limit of the product: a test of such a limit names its seconds


@dataclass(frozen=True)
class RunningStack:
    base_url: str
    home: Path
    process: subprocess.Popen[bytes]
    output: Path


def is_running(pid: int) -> bool:
    """False as soon as the process has ended, even if its parent has not read its exit code yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object], seconds: float = GIVE_UP_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "the condition did not become true in time"
        time.sleep(0.02)


def wait_until_gone(pids: Iterable[int], seconds: float = GIVE_UP_SECONDS) -> None:
    wait_for(lambda: not any(map(is_running, pids)), seconds)
