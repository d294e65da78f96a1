"""The log: JSON lines outside a terminal, readable lines on one, and the subject in every line."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from app.resources import ROOT

PROGRAM = """
import logging, threading, warnings
from app import logs

log = logging.getLogger("app.somewhere")
own = logging.getLogger("rq.worker")
own.addHandler(logging.StreamHandler())
own.propagate = False
logs.configure()

def fail():
    secret = "canary in a local variable"
    raise ValueError("first line\\ncanary in the second line")

with logs.about(job="J", shard=3, epoch=2):
    log.info("in the process")
    thread = threading.Thread(target=logs.in_context(lambda: log.warning("in a thread")))
    thread.start()
    thread.join()
    library = logging.getLogger("rq.worker")
    library.warning("of a library, %s", "formatted\\ncanary in the second line")
    try:
        fail()
    except ValueError:
        log.exception("failed")
logging.getLogger("some.library").info("canary: libraries say too much")
log.info("without a subject")
warnings.warn("a warning of Python")
"""


def lines_of(program: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def on_terminal(program: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stderr=theirs, env={**os.environ, **environment}
        )
        os.close(theirs)
        said = b""
        try:
            while piece := terminal.read(65_536):
                said += piece
        except OSError:  # Linux reports the closed end of a terminal so
            pass
    assert process.wait() == 0
    return said.decode()


def test_every_line_is_json_and_has_its_subject() -> None:
    lines = lines_of(PROGRAM)
    about = [(line["event"], line.get("job"), line.get("shard"), line.get("epoch")) for line in lines]
    assert about[:4] == [
        ("in the process", "J", 3, 2),
        ("in a thread", "J", 3, 2),
        ("of a library, formatted", "J", 3, 2),
        ("failed", "J", 3, 2),
    ]
    assert about[4] == ("without a subject", None, None, None)
    assert "a warning of Python" in about[5][0]
    assert len(lines) == 6
    assert "canary" not in json.dumps(lines)
    assert {line["logger"] for line in lines} == {"app.somewhere", "rq.worker", "py.warnings"}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_an_exception_is_one_field_without_what_databases_quote() -> None:
    (failed,) = [line for line in lines_of(PROGRAM) if line["event"] == "failed"]
    assert failed["level"] == "error"
    assert failed["exception"].endswith("ValueError: first line")
    assert "in fail" in failed["exception"]
    assert "canary" not in json.dumps(failed)


def test_a_terminal_gets_readable_lines() -> None:
    said = on_terminal(PROGRAM, NO_COLOR="1")
    assert "\x1b" not in said
    assert "in the process" in said
    assert "job=J" in said
    assert "ValueError: first line" in said
    assert "canary" not in said
    assert "{" not in said


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_colors_follow_no_color(no_color: str, colored: bool) -> None:
    assert ("\x1b[" in on_terminal(PROGRAM, NO_COLOR=no_color)) == colored
