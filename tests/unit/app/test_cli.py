"""The command: `--help` is fast, and an error that the user can correct is one sentence."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli, main
from app.resources import ROOT
from tests.support.deployment.platforms import AS_ON_WINDOWS
from tests.support.programs.processes import wait_for

COMMANDS = (
    *("profile", "jobs", "show", "watch", "results", "compare", "cancel", "delete", "models", "open", "keys"),
    *("up", "api", "worker", "migrate"),
)


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


Layerscope = Callable[..., Answer]


@pytest.fixture
def layerscope(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Layerscope:
    """Runs the command in this process, which has already imported what takes most of the time."""

    def run(*arguments: str, home: Path, models: Path = ROOT / "models.toml", **environment: str) -> Answer:
        own = {"LAYERSCOPE_HOME": str(home), "LAYERSCOPE_MODELS": str(models)}
        for name, value in (own | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["layerscope", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Answer(int(ended.value.code or 0), *capfd.readouterr())

    return run


def as_process(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        (sys.executable, "-m", "app.cli", *arguments),
        cwd=ROOT,
        env={**os.environ, "LAYERSCOPE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def is_one_sentence(answer: "Answer | subprocess.CompletedProcess[str]") -> bool:
    return answer.returncode == 2 and answer.stdout == "" and answer.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text(command: str) -> None:
    answer = CliRunner().invoke(cli, [command, "--help"], prog_name="layerscope")
    assert answer.exit_code == 0
    assert f"layerscope {command}" in answer.output
    assert re.search(r"[A-Z][^.]+\.", answer.output)


def test_help_lists_every_command_and_imports_nothing_that_it_does_not_need() -> None:
    answer = CliRunner().invoke(cli, ["--help"])
    assert [name for name in COMMANDS if name not in answer.output] == []
    heavy = (
        "alembic",
        "fastapi",
        "httpx",
        "matplotlib",
        "numpy",
        "pydantic",
        "sqlalchemy",
        "torch",
        "uvicorn",
    )
    code = f"import sys, app.cli; sys.exit(' '.join(set({heavy!r}) & set(sys.modules)) or 0)"
    loaded = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True)
    assert loaded.stderr == ""


def test_a_taken_port_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = as_process("up", "--port", port, home=tmp_path / "home")
    assert is_one_sentence(answer), answer
    assert port in answer.stderr
    assert "--port" in answer.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["up", "api"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_keys_other_machines_have_no_access(
    layerscope: Layerscope, command: str, host: str, tmp_path: Path
) -> None:
    answer = layerscope(command, "--host", host, "--port", "0", home=tmp_path / "home")
    assert is_one_sentence(answer), answer
    assert answer.stderr.startswith(f"{host} can be reached from other machines, and no key exists")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["up", "worker"])
def test_an_unknown_model_is_one_sentence_that_names_the_available_ones(
    layerscope: Layerscope, command: str, tmp_path: Path
) -> None:
    answer = layerscope(command, "--model", "gpt", home=tmp_path / "home")
    assert is_one_sentence(answer), answer
    assert "'gpt'" in answer.stderr
    assert "demo" in answer.stderr


def test_a_missing_models_file_is_one_sentence(layerscope: Layerscope, tmp_path: Path) -> None:
    answer = layerscope("up", home=tmp_path / "home", models=tmp_path / "none.toml")
    assert is_one_sentence(answer), answer
    assert str(tmp_path / "none.toml") in answer.stderr


def test_a_wrong_setting_is_one_sentence_that_names_it(layerscope: Layerscope, tmp_path: Path) -> None:
    answer = layerscope("migrate", home=tmp_path, LAYERSCOPE_LEASE_SECONDS="-1")
    assert is_one_sentence(answer), answer
    assert answer.stderr.startswith("LAYERSCOPE_LEASE_SECONDS: Input should be greater than 0")


@pytest.mark.parametrize("command", [("migrate",), ("up", "--port", "0"), ("worker", "--model", "demo")])
def test_setting_only_one_server_is_not_enough(
    layerscope: Layerscope, command: tuple[str, ...], tmp_path: Path
) -> None:
    answer = layerscope(*command, home=tmp_path, LAYERSCOPE_REDIS_URL="redis://127.0.0.1:1/0")
    assert is_one_sentence(answer), answer
    assert answer.stderr.startswith("Set both LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL")


def test_an_unavailable_database_is_one_sentence(layerscope: Layerscope, tmp_path: Path) -> None:
    answer = layerscope(
        "migrate",
        home=tmp_path,
        LAYERSCOPE_DATABASE_URL="postgresql://someone:canary@127.0.0.1:1/none",
        LAYERSCOPE_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert is_one_sentence(answer), answer
    assert "cannot be migrated" in answer.stderr
    assert "canary" not in answer.stderr


def test_a_home_that_is_a_file_is_one_sentence(layerscope: Layerscope, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    answer = layerscope("migrate", home=tmp_path / "home")
    assert is_one_sentence(answer), answer
    assert "LAYERSCOPE_HOME" in answer.stderr


def test_profiling_into_a_file_is_one_sentence_before_anything_starts(
    layerscope: Layerscope, tmp_path: Path
) -> None:
    (tmp_path / "out").touch()
    answer = layerscope("profile", "--out", str(tmp_path / "out"), home=tmp_path / "home")
    assert is_one_sentence(answer), answer
    assert f"The folder {tmp_path / 'out'} cannot be created" in answer.stderr
    assert not (tmp_path / "home").exists()


def test_ctrl_c_while_the_servers_start_stops_them_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        (sys.executable, "-m", "app.cli", "up", "--port", "0"),
        cwd=ROOT,
        env={**os.environ, "LAYERSCOPE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: (home / "logs" / "postgres.log").exists())
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert not (home / "postgres" / "postmaster.pid").exists()


def test_version_is_the_one_of_the_project(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    answer = as_process("--version", home=tmp_path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"layerscope {version}\n", "")


def test_a_platform_without_embedded_servers_is_one_sentence(tmp_path: Path) -> None:
    code = f"{AS_ON_WINDOWS}\nimport sys; sys.argv[1:] = ['migrate']\nfrom app.cli import main; main()"
    home = tmp_path / "home"
    environment = {**os.environ, "LAYERSCOPE_HOME": str(home)}
    answer = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert is_one_sentence(answer), answer
    assert answer.stderr.startswith("There are no embedded servers for this platform")
    assert "set LAYERSCOPE_DATABASE_URL and LAYERSCOPE_REDIS_URL to your own servers" in answer.stderr
    assert not home.exists()
