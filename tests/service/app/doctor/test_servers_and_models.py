"""The servers, the port and the models of this machine."""

import json
import shutil
from pathlib import Path

import pytest

from app.doctor.findings import Grade
from app.doctor.servers_and_models import check_models, check_servers
from app.resources import ROOT
from app.settings import Settings
from tests.support.programs.command_line import layerscope


def test_configured_servers_that_answer_are_good(settings: Settings) -> None:
    assert check_servers(settings).grade == Grade.OK


def test_configured_servers_that_do_not_answer_are_a_problem(settings: Settings) -> None:
    wrong = settings.model_copy(update={"database_url": "postgresql://someone:canary@127.0.0.1:1/none"})
    finding = check_servers(wrong)
    assert finding.grade == Grade.PROBLEM
    assert "canary" not in finding.detail


def test_embedded_servers_are_not_created(tmp_path: Path) -> None:
    finding = check_servers(Settings(home=tmp_path / "home"))
    assert finding.grade == Grade.OK
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_models_are_loaded_and_nothing_is_downloaded(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(ROOT / "demo" / "model", broken)
    next(broken.glob("*.safetensors")).unlink()
    models = tmp_path / "models.toml"
    tables = {"good": str(ROOT / "demo" / "model"), "bad": str(broken), "away": "org/nothing"}
    models.write_text("".join(f'[{name}]\nsource = "{source}"\n' for name, source in tables.items()))
    good, bad, away = check_models(Settings(home=tmp_path, models=models))
    assert (good.grade, good.detail) == (Grade.OK, "it can be loaded: 10 layers, float32 on cpu")
    assert bad.grade == Grade.PROBLEM
    assert "safetensors" in bad.detail
    assert (away.grade, away.detail) == (Grade.WARNING, "org/nothing is not downloaded")
    assert "`layerscope up --model away`" in away.remedy


def test_a_wrong_model_list_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("nonsense")
    (finding,) = check_models(Settings(home=tmp_path, models=tmp_path / "models.toml"))
    assert finding.grade == Grade.PROBLEM


@pytest.mark.slow
def test_the_command_prints_each_finding(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    done = layerscope("doctor", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok       model demo: it can be loaded" in done.stdout
    assert "→ `layerscope up --model llama-3.2-3b` downloads it" in done.stdout
    assert list(folder.iterdir()) == []
    done = layerscope("doctor", "--json", cwd=folder, LAYERSCOPE_LEASE_SECONDS="-1")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)
    assert (finding["check"], finding["grade"]) == ("settings", "problem")
    assert finding["remedy"]
