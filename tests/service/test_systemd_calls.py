"""API and worker do their work with only the system calls that their units of systemd allow."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.local.commands import SLEEP_AT_ONCE, api_command, worker_command
from app.local.listening import address_of, is_ready, listen
from app.local.supervisor import Child, Command
from app.resources import ROOT
from app.settings import Settings
from tests.support.deployment.systemd import unit
from tests.support.http.over_http import path, submit
from tests.support.programs.processes import wait_for
from tests.support.programs.serving import NO_TLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None or find_library("seccomp") is None,
        reason="systemd is missing: run `apt-get install systemd`",
    ),
]


def under_its_unit(command: Command, name: str, settings: Settings, log: Path) -> Command:
    service = unit(name)["Service"]
    options = [*service["SystemCallFilter"], *(["mdwe"] if "MemoryDenyWriteExecute" in service else [])]
    prefix = (
        sys.executable,
        str(ROOT / "tests" / "support" / "deployment" / "restricted.py"),
        *options,
        "--",
    )
    home = {"LAYERSCOPE_HOME": str(settings.home), **(command.environment or {})}
    return replace(command, arguments=(*prefix, *command.arguments), environment=home, log=log)


@contextmanager
def running(command: Command) -> Iterator[Child]:
    child = Child(command)
    try:
        yield child
    finally:
        child.stop()


def test_a_job_is_measured_and_drawn(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with listen("127.0.0.1", 0) as listener:
        api = under_its_unit(api_command(settings, listener), "layerscope-api.service", settings, log)
        demo = worker_command(settings, "demo", SLEEP_AT_ONCE)
        worker = under_its_unit(demo, "layerscope-worker@.service", settings, log)
        with running(api) as of_api, running(worker) as of_worker:
            url = address_of(listener)
            wait_for(lambda: is_ready(url), seconds=60)
            with httpx.Client(base_url=url, timeout=90, verify=NO_TLS) as client:
                job_id = str(submit(client, options={"analyses": ["ablation"]})["id"])
                job = client.get(f"/v1/jobs/{job_id}?wait=60").json()
                assert job["status"] == "succeeded", log.read_text()
                for name in ("results.csv", "texts.parquet", "plots/mean_std.png"):
                    assert client.get(path(job_id, name)).status_code == 200, log.read_text()
    assert (of_api.process.returncode, of_worker.process.returncode) == (0, 0)
    assert "Operation not permitted" not in log.read_text()
