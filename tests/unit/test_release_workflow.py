"""The workflow that would build, sign and publish a release: it is valid, and its jobs have few rights."""

import re
import subprocess
import sys
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.resources import ROOT

PATH = ".github/workflows/release.yml"
TEXT = (ROOT / PATH).read_text()
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
ACTIONS = [step["uses"] for step in STEPS if "uses" in step]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_the_workflow_is_valid() -> None:
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", PATH)
    answer = subprocess.run(checker, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("action", sorted(set(ACTIONS)))
def test_an_action_has_a_version(action: str) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+){0,2}|[0-9a-f]{40})", action)


def test_only_a_tag_starts_it() -> None:
    assert WORKFLOW["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_only_the_rights_that_it_needs(name: str) -> None:
    assert WORKFLOW["permissions"] == {}
    rights = JOBS[name]["permissions"]
    signs = name != "check"
    assert {right for right, access in rights.items() if access == "write"} - {"id-token"} == {
        "check": set(),
        "wheel": {"attestations"},
        "image": {"attestations", "packages"},
        "publish": {"contents"},
    }[name]
    assert (rights.get("id-token") == "write") == signs
    assert JOBS[name]["timeout-minutes"] <= 120
    checkouts = [step for step in JOBS[name]["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_is_published_before_the_checks() -> None:
    assert JOBS["wheel"]["needs"] == JOBS["image"]["needs"] == "check"
    assert set(JOBS["publish"]["needs"]) == {"wheel", "image"}
    assert {".ci/run", "make audit"} <= set(SCRIPTS)


def test_scripts_contain_no_expressions() -> None:
    """The value of an expression would become a part of the script, whatever it contains."""
    assert [script for script in SCRIPTS if "${{" in script] == []


def test_everything_that_is_published_is_signed() -> None:
    of_jobs = {name: str(job["steps"]) for name, job in JOBS.items()}
    for command in ("cosign sign --yes", "cosign attest --yes --type cyclonedx", "attest-build-provenance@"):
        assert command in of_jobs["image"]
    for command in ("make sbom", "attest-build-provenance@", "attest-sbom@"):
        assert command in of_jobs["wheel"]
    assert "cosign sign-blob --yes --bundle" in of_jobs["publish"]


def test_its_commands_and_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake ([\w-]+)", "\n".join(SCRIPTS))
    assert set(targets) == {"audit", "sbom"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    stages = re.findall(r"^FROM .* AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(JOBS["image"]["strategy"]["matrix"]["target"]) <= set(stages)
    produced = (ROOT / "tools" / "supply.py").read_text()
    assert all(name in produced for name in re.findall(r"(?<=var/supply/)[\w.]+", TEXT))
