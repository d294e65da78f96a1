"""Runs schemathesis against a service, and counts the requests as the service counted them."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.resources import ROOT

CONFIG = ROOT / "tests" / "fuzz" / "schemathesis.toml"
NO_KEY_NEEDED = "ignored_auth"


Answers = Counter[tuple[str, str, int]]  # by method, route and status


@dataclass(frozen=True)
class Run:
    """One run of schemathesis. `key` is sent with its requests, `seed_key` with those that prepare it."""

    name: str
    phases: str
    examples: int
    key: str | None = None
    seed_key: str | None = None  # None: no key exists
    options: tuple[str, ...] = ()
    configuration: str = ""  # in addition to that of all runs


def fuzz(url: str, run: Run, jobs: Mapping[str, Sequence[str]], folder: Path) -> None:
    """`jobs`: ids of jobs for an operation; those of "" are for all others.

    Raises: AssertionError with the output of schemathesis if it has found something.
    """
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(_configuration(run, jobs, folder)),
            "--no-color",
        ),
        *("run", f"{url}/openapi.json", "--phases", run.phases, "--max-examples", str(run.examples)),
        *run.options,
        *(("--header", f"Authorization: Bearer {run.key}") if run.key else ()),
        # As long as no key exists, none is needed, and none is refused. The description cannot say this.
        *(() if run.seed_key else ("--exclude-checks", "ignored_auth")),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, f"{run.name}:\n{answer.stdout}\n{answer.stderr}"


def _configuration(run: Run, jobs: Mapping[str, Sequence[str]], folder: Path) -> Path:
    """The file with the ids of existing jobs, so that not all requests are answered with 404."""
    lines = [CONFIG.read_text(), run.configuration]
    for operation, ids in jobs.items():
        name = operation or "others"
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(list(ids))}"]
        if operation:
            lines += ["[[operations]]", f'include-operation-id = "{operation}"', "[operations.parameters]"]
        else:
            lines += ["[parameters]"]
        lines += [f'"path.job_id" = {{ dictionary = "{name}", probability = 0.8 }}']
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def answers(client: httpx.Client) -> Answers:
    """How often the service has answered since it started, by its own count."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return Counter(
        {
            (sample.labels["method"], sample.labels["route"], int(sample.labels["status"])): int(sample.value)
            for family in families
            for sample in family.samples
            if sample.name == "layerscope_http_requests_total"
        }
    )


def summary(found: Answers) -> str:
    """The number of requests by status and by call."""
    by_status, by_call = Counter[int](), Counter[str]()
    for (method, route, status), times in found.items():
        by_status[status] += times
        by_call[f"{method} {route}"] += times if status < 400 else 0
    lines = [f"{found.total()} requests"]
    lines += [f"{times:7} answered with {status}" for status, times in sorted(by_status.items())]
    lines += [f"{times:7} good answers of {call}" for call, times in sorted(by_call.items()) if times]
    return "\n".join(lines)
