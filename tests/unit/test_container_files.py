"""Dockerfile, compose file and Makefile: they are valid, grant few rights, and call commands that exist."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from app.cli import cli
from app.resources import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_compose_file_is_valid() -> None:
    checker = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")
    answer = run(*checker, "docker-compose.yml")
    assert answer.returncode == 0, answer.stdout


def test_dockerfile_passes_its_linter() -> None:
    answer = run(Path(sys.executable).with_name("hadolint"), "Dockerfile")
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in ("root", "0", "0:0")
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_container_restarts_and_reports_its_health(name: str) -> None:
    assert SERVICES[name]["restart"] in ("unless-stopped", "on-failure")
    watched = {"postgres", "redis", "api"}  # docker-compose.yml explains why workers have no health check
    assert ("healthcheck" in SERVICES[name]) == (name in watched)


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_the_environment_and_have_no_default(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if "PASSWORD" in value:
            assert re.search(r"\$\{(POSTGRES|REDIS)_PASSWORD:\?", value), variable
    assert "PASSWORD" not in str(SERVICES[name].get("command"))


@pytest.mark.parametrize("name", OURS)
def test_command_exists(name: str) -> None:
    answer = CliRunner().invoke(cli, [*OURS[name]["command"], "--help"])
    assert answer.exit_code == 0, answer.output


def test_a_command_that_does_not_exist_would_be_detected() -> None:
    assert CliRunner().invoke(cli, ["serve", "--help"]).exit_code != 0
    assert CliRunner().invoke(cli, ["api", "--listen", "x", "--help"]).exit_code != 0


@pytest.mark.parametrize("name", OURS)
def test_image_is_a_target_of_the_dockerfile(name: str) -> None:
    assert re.search(rf"^FROM base AS {OURS[name]['build']['target']}$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("worker")])
def test_workers_serve_models_that_are_listed(name: str) -> None:
    command = OURS[name]["command"]
    assert command[command.index("--model") + 1] in tomllib.loads((ROOT / "models.toml").read_text())


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_do_not_run_as_root(target: str) -> None:
    stage = re.split(r"^FROM .* AS ", DOCKERFILE, flags=re.MULTILINE)
    (lines,) = [part for part in stage if part.startswith(f"{target}\n")]
    assert lines.rstrip().endswith("USER 10001:10001")


def test_images_contain_all_that_the_service_needs_and_nothing_private() -> None:
    kept = {line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    in_wheel = {*wheel["only-include"], *wheel["force-include"]}
    assert in_wheel >= {"layerscope", "app", "worker", "migrations", "samples", "demo/model", "models.toml"}
    for_the_build = {"pyproject.toml", "constraints.txt", "README.md", *project["project"]["license-files"]}
    assert in_wheel | for_the_build <= kept
    assert not {".git", "var", "tests", ".venv"} & kept


def test_every_dependency_is_pinned() -> None:
    pins = {line.split("==")[0].lower().replace("_", "-") for line in _pinned()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = chain(project["dependencies"], *project["optional-dependencies"].values())
    assert {re.split(r"[\[<>=;]", name)[0] for name in wanted} - {project["name"]} <= pins
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line) for line in _pinned())


def _pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_make_rejects_an_old_python_with_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python"
    pretend = "import sys; sys.version_info = (3, 10, 4); exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}" "$2"\n')
    old.chmod(0o755)
    answer = run("make", "-C", ROOT, f"PYTHON={old}", "--always-make", "install")
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stderr
    assert "is 3.10" in answer.stderr
