"""The units of systemd: valid, with few rights, and with the settings and commands of the service."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.local.commands import CANNOT_LOAD
from app.resources import ROOT
from app.settings import Settings
from tests.support.deployment.systemd import FOLDER, SERVICES, UNITS, unit

MOST_EXPOSURE = 20  # tenths; systemd calls up to 20 "OK"
GIVING_BACK_SECONDS = 6  # to connect to the database, and give back a shard
OF_OTHERS = {"HF_HOME", "MPLCONFIGDIR"}  # variables of libraries
ENVIRONMENT_FILE = FOLDER / "layerscope.env"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is missing: run `apt-get install systemd`"
)


def installed(folder: Path) -> list[Path]:
    """The units in a folder, with a program that exists here. The template has an instance."""
    for name in UNITS:
        text = (FOLDER / name).read_text(encoding="utf-8")
        (folder / name).write_text(
            text.replace("/opt/layerscope/bin/layerscope", "/bin/true"), encoding="utf-8"
        )
    return [folder / name.replace("@", "@demo") for name in UNITS]


def verify(units: list[Path]) -> str:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    run = subprocess.run(command, cwd=units[0].parent, capture_output=True, text=True)
    return run.stdout + run.stderr


@needs_systemd
def test_units_are_valid(tmp_path: Path) -> None:
    assert verify(installed(tmp_path)) == ""


@needs_systemd
def test_an_invalid_unit_would_be_detected(tmp_path: Path) -> None:
    units = installed(tmp_path)
    text = units[0].read_text(encoding="utf-8")
    units[0].write_text(text.replace("ProtectHome=yes", "ProtectHomes=yes"), encoding="utf-8")
    assert "ProtectHomes" in verify(units)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_units_have_few_rights(name: str) -> None:
    options = ("--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE}")
    run = subprocess.run(
        ("systemd-analyze", "security", *options, f"./{name}"), cwd=FOLDER, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", UNITS)
def test_units_are_of_their_own_user_and_write_to_their_own_folder(name: str) -> None:
    service = unit(name)["Service"]
    assert service["User"] == ["layerscope"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["StateDirectory"] == ["layerscope"]
    assert "LAYERSCOPE_HOME=/var/lib/layerscope" in service["Environment"][-1].split()
    users = (FOLDER / "layerscope.sysusers").read_text(encoding="utf-8")
    assert users == 'u layerscope - "Layerscope" /var/lib/layerscope\n'


def test_a_worker_reaches_the_devices_of_nvidia_only() -> None:
    service = unit("layerscope-worker@.service")["Service"]
    assert (service["DevicePolicy"], service["DeviceAllow"]) == (["closed"], ["char-nvidia* rw"])
    assert "PrivateDevices" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_time_to_stop_and_is_started_again(name: str) -> None:
    service = unit(name)["Service"]
    stop = Settings.model_fields["stop_seconds"].default
    assert float(service["TimeoutStopSec"][0]) >= stop + GIVING_BACK_SECONDS
    assert service["KillMode"] == ["mixed"]
    assert service["Restart"] == ["always"]
    assert unit(name)["Unit"]["Requires"] == ["layerscope-migrate.service"]
    assert "layerscope-migrate.service" in unit(name)["Unit"]["After"]


def test_a_worker_whose_model_can_never_be_loaded_is_not_started_again() -> None:
    service = unit("layerscope-worker@.service")["Service"]
    assert service["RestartPreventExitStatus"] == [str(CANNOT_LOAD)]


@pytest.mark.parametrize("name", UNITS)
def test_commands_exist(name: str) -> None:
    (command,) = unit(name)["Service"]["ExecStart"]
    program, *arguments = shlex.split(command)
    assert program == "/opt/layerscope/bin/layerscope"
    answer = CliRunner().invoke(cli, [*arguments, "--help"])
    assert answer.exit_code == 0, answer.output


def test_a_worker_serves_the_model_of_its_name_unless_a_file_names_another_one() -> None:
    service = unit("layerscope-worker@.service")["Service"]
    assert service["Environment"][0] == "MODEL=%i"
    assert service["ExecStart"][0].endswith("--model ${MODEL}")
    assert service["EnvironmentFile"] == ["/etc/layerscope/layerscope.env", "-/etc/layerscope/worker-%i.env"]


@pytest.mark.parametrize("name", UNITS)
def test_every_variable_is_a_setting(name: str) -> None:
    text = ENVIRONMENT_FILE.read_text(encoding="utf-8")
    in_file = re.findall(r"^(\w+)=", text, re.MULTILINE)
    in_unit = re.findall(r"(\w+)=", " ".join(unit(name)["Service"]["Environment"]))
    settings = {f"LAYERSCOPE_{field.upper()}" for field in Settings.model_fields}
    assert set(in_file) <= settings
    assert set(in_unit) - {"MODEL"} <= settings | OF_OTHERS


def test_every_file_is_documented() -> None:
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = document.partition("## systemd")[2].partition("\n## ")[0]
    assert all(file.name in section for file in FOLDER.iterdir())
