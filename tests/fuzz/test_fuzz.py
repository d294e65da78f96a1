"""The running service with a worker, examined by schemathesis.

`make fuzz` runs the long test with other requests each time; the short one always sends the same requests.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.resources import ROOT
from tests.fuzz.fuzzing import Answers, Run, answers, fuzz, summary
from tests.fuzz.seeds import seeds
from tests.support.programs.processes import RunningStack
from tests.support.programs.serving import NO_TLS
from tests.support.programs.stack import SHORT_TIMES, running_stack

# Otherwise most requests would only be answered with 429.
LIMITS = {
    "LAYERSCOPE_INVALID_KEYS_PER_MINUTE": "1000000",
    "LAYERSCOPE_OWNER_REQUESTS_PER_MINUTE": "1000000",
    "LAYERSCOPE_OWNER_LIVE_JOBS_LIMIT": "1000000",
}
# For bodies, the phase `coverage` sends a thousand requests.
WITHOUT_BODIES = """
[[operations]]
include-operation-id = ["create_job", "create_job_from_stream"]
phases.coverage.enabled = false
"""
ALL_PHASES = "examples,coverage,stateful,fuzzing"
LEAST_REQUESTS = 10_000


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[RunningStack]:
    models = tmp_path / "models.toml"  # without models that no worker has, whose jobs would never be finished
    models.write_text(f'[demo]\nsource = "{ROOT}/demo/model"\n')
    with running_stack(tmp_path, SHORT_TIMES | LIMITS | {"LAYERSCOPE_MODELS": str(models)}) as stack:
        yield stack


def new_key(fuzzed: RunningStack, scope: str) -> str:
    command = (sys.executable, "-m", "app.cli", "keys", "create", "--owner", "alice", "--scope", scope)
    environment = os.environ | {"LAYERSCOPE_HOME": str(fuzzed.home)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def examine(fuzzed: RunningStack, run: Run, folder: Path) -> Answers:
    """How the service answered the requests of the run."""
    headers = {"Authorization": f"Bearer {run.seed_key}"} if run.seed_key else {}
    with httpx.Client(base_url=fuzzed.base_url, headers=headers, timeout=90, verify=NO_TLS) as client:
        jobs = seeds(client)
        before = answers(client)
        fuzz(fuzzed.base_url, run, jobs, folder)
        found = answers(client) - before
        for job_id in jobs[""]:  # no request may have deleted it
            assert client.get(f"/v1/jobs/{job_id}").status_code == 200
        return found


def without_good_answer(found: Answers) -> list[tuple[str, str]]:
    """The calls of the interface that never succeeded."""
    called = {
        (method, route) for method, route, status in found if route.startswith("/v1/") and status != 405
    }
    good = {(method, route) for method, route, status in found if status < 400}
    return sorted(called - good)


def test_a_short_run_finds_nothing(fuzzed: RunningStack, tmp_path: Path) -> None:
    deterministic = ("--generation-deterministic",)
    run = Run("short", "coverage,stateful", 5, options=deterministic, configuration=WITHOUT_BODIES)
    found = examine(fuzzed, run, tmp_path)
    assert found.total() > 200
    assert not [answer for answer in found if answer[2] >= 500]


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_a_long_run_finds_nothing(
    fuzzed: RunningStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = examine(fuzzed, Run("no keys", ALL_PHASES, examples=100), tmp_path)
    assert without_good_answer(found) == []
    admin, write, read = (new_key(fuzzed, scope) for scope in ("admin", "write", "read"))
    runs = (
        Run("write key", ALL_PHASES, examples=50, key=write, seed_key=admin),
        Run("read key", "coverage,fuzzing", examples=5, key=read, seed_key=admin),
        Run("key missing", "coverage,fuzzing", examples=5, seed_key=admin),
    )
    of_keys = [examine(fuzzed, run, tmp_path) for run in runs]
    assert without_good_answer(of_keys[0]) == []
    all_answers = sum(of_keys, Counter(found))
    with capsys.disabled():
        print(summary(all_answers))
    assert not [answer for answer in all_answers if answer[2] >= 500]
    assert all_answers.total() >= LEAST_REQUESTS
