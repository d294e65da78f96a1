"""Stopping a process: the outcome depends on when its current work ends."""

import subprocess
import sys

import pytest

from app.resources import ROOT

PROCESS = """
import sys, threading, time
from worker.runtime.shutdown import ShutdownDeadline
stopping, begun = threading.Event(), threading.Event()
def abandon():
    begun.set()
    {abandon}
with ShutdownDeadline(stopping, {seconds}).guard(abandon):
    {before}
    {work}
print("done", flush=True)
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("facts", "code", "said"),
    [
        ({"before": "pass", "work": "time.sleep(1.2)"}, 7, "done"),
        ({"work": "time.sleep(1)", "seconds": 30}, 7, "done"),
        ({}, 0, "abandoned"),
        ({"abandon": "raise OSError('no way')"}, 0, ""),
        ({"work": "begun.wait()", "abandon": "time.sleep(2); raise OSError('too late')"}, 7, "done"),
        (
            {"work": "begun.wait()", "abandon": "time.sleep(2); print('abandoned', flush=True)"},
            0,
            "abandoned",
        ),
    ],
    ids=["not asked to stop", "in time", "too long", "cannot be abandoned", "ends meanwhile", "too late"],
)
def test_current_work_at_shutdown(facts: dict[str, object], code: int, said: str) -> None:
    default = {
        "before": "stopping.set()",
        "seconds": 0.1,
        "work": "time.sleep(60)",
        "abandon": "print('abandoned', flush=True)",
    }
    program = PROCESS.format(**(default | facts))
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout.strip()) == (code, said), ended.stderr
    if "raise" in program:
        assert "the current work could not be abandoned" in ended.stderr
