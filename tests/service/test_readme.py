"""The examples of the README run without changes, with bash and the real curl, on the whole service."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.resources import ROOT
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.processes import RunningStack

README = (ROOT / "README.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_examples_work(stack: RunningStack, tmp_path: Path) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = block.replace("http://127.0.0.1:8000", stack.base_url).replace(
        "curl -s", "curl --fail-with-body -s"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = {path.name for path in tmp_path.iterdir()} - {"job.json", "texts.ndjson"}
    tables = (
        "results.csv",
        "results.json",
        "texts.csv",
        "transitions.csv",
        "comparison.csv",
        "first_token.csv",
    )
    assert files == {f"first-{name}" for name in tables}
    results = json.loads((tmp_path / "first-results.json").read_text())
    assert results["job"]["status"] == "succeeded"
    assert results["job"]["progress"]["done"] == 4


def test_the_client_example_prints_what_its_comment_says(
    stack: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    block, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    lines = block.replace("http://127.0.0.1:8000", stack.base_url)
    exec(compile(lines, "README.md", "exec"), {})
    assert capsys.readouterr().out == block.rstrip().rpartition("# ")[2] + "\n"


def test_the_library_example_prints_the_shape_of_each_text(capsys: pytest.CaptureFixture[str]) -> None:
    _, block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    lines = block.replace("/data/models/my-llama", str(ROOT / "demo" / "model"))
    exec(compile(lines, "README.md", "exec"), {})
    layers = json.loads((ROOT / "demo" / "model" / "config.json").read_text())["num_hidden_layers"]
    shape = (len(COMPONENTS), len(SCOPES), layers, len(METRICS))
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"0 \d+ {re.escape(str(shape))}", first)
    assert re.fullmatch(rf"1 \d+ {re.escape(str(shape))}", second)
