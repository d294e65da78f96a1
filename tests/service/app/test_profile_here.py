"""`layerscope profile` without a running service: it starts one for the time of the command."""

import json
import shutil
from pathlib import Path

import pytest

from app.resources import ROOT
from tests.support.programs.command_line import layerscope


@pytest.mark.slow
def test_files_and_a_model_folder_become_results(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "texts").mkdir(parents=True)
    shutil.copytree(ROOT / "demo" / "model", folder / "my-llama")
    (folder / "texts" / "cpp.json").write_text(json.dumps([f"int x{i} = {i};" for i in range(9)]))
    (folder / "texts" / "python.txt").write_text("".join(f"x{i} = {i}\n" for i in range(9)))
    done = layerscope("profile", "texts", "--lines", "--model", "my-llama", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("18 of 18 texts measured in ")
    assert "`layerscope up` shows the job at http://127.0.0.1:8000/jobs/" in done.stdout
    assert "{" not in done.stderr  # the log of the service is in a file
    assert "job submitted" in (folder / "var" / "logs" / "profile.log").read_text()
    assert {path.name for path in folder.iterdir()} == {"texts", "my-llama", "out", "var"}
    assert layerscope("profile", "texts", "--model", "nothing", cwd=folder).returncode == 2
    broken = folder / "broken"
    shutil.copytree(ROOT / "demo" / "model", broken)
    next(broken.glob("*.safetensors")).unlink()
    done = layerscope("profile", "texts", "--lines", "--model", "broken", cwd=folder)
    assert done.returncode == 1
    assert "safetensors" in done.stderr.splitlines()[-1]
