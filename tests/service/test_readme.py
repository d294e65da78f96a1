"""The examples of the README run without changes, in bash and zsh, with real curl, on the whole service."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.resources import ROOT
from layerscope.names import COMPONENTS, METRICS, SCOPES
from tests.support.programs.processes import RunningStack

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [block for language, block in BLOCKS if language == "bash"]
OUTPUTS = [block for language, block in BLOCKS if language == "text"]
SHELLS = {
    "bash": ["bash", "-euo", "pipefail", "-c"],
    "zsh": ["zsh", "--no-rcs", "-euo", "pipefail", "-c"],
}
NUMBER = re.compile(r"\d+\.\d+")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt-get install curl")
def test_every_command_works_and_prints_what_is_shown(
    stack: RunningStack, tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    lines = "".join(COMMANDS).replace("http://127.0.0.1:8000", stack.base_url)
    done = subprocess.run([*SHELLS[shell], lines], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    shown = "".join(OUTPUTS)
    # Another processor may give other last digits.
    assert NUMBER.sub("0.0", done.stdout) == NUMBER.sub("0.0", shown)
    found, expected = (list(map(float, NUMBER.findall(text))) for text in (done.stdout, shown))
    assert found == pytest.approx(expected, rel=1e-3)
    files = {path.name for path in tmp_path.iterdir()}
    tables = (
        "results.csv",
        "results.json",
        "texts.csv",
        "transitions.csv",
        "comparison.csv",
        "first_token.csv",
    )
    assert {f"first-{name}" for name in tables} <= files
    results = json.loads((tmp_path / "first-results.json").read_text())
    assert results["job"]["status"] == "succeeded"
    assert results["job"]["progress"]["done"] == 4


def test_the_blocks_contain_no_comments() -> None:
    """An interactive zsh runs them as commands."""
    blocks = [block for language, block in BLOCKS if language in ("", "bash")]
    assert len(blocks) > len(COMMANDS) > 3
    assert not [line for block in blocks for line in block.splitlines() if re.search(r"(^|\s)#", line)]


def test_every_curl_fails_if_the_service_refuses() -> None:
    calls = [line for block in COMMANDS for line in block.splitlines() if "curl" in line]
    assert len(calls) > 8
    assert all(line.startswith("curl -fsS ") for line in calls)


def test_the_jobs_are_not_deleted() -> None:
    assert "DELETE" not in README


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
