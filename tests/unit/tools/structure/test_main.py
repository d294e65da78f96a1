from pathlib import Path

import pytest

from tools.structure.__main__ import main


def write(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tiny repository without violations."""
    write(tmp_path, "app/errors.py", "class AppError(Exception): ...\n\n\nclass Job: ...\n")
    write(tmp_path, "layerscope/errors.py", "class ModelError(Exception): ...\n\n\nclass Job: ...\n")
    write(tmp_path, "app/models.py", "import app.errors\n")
    write(tmp_path, "app/api/endpoints/models.py", "import app.models\n")
    write(tmp_path, "tests/test_errors.py", "x = 1\n" * 301)
    return tmp_path


def test_a_repository_without_violations(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tree) == 0
    out = capsys.readouterr().out
    assert "0 violations" in out
    assert "301 (tests/test_errors.py)" in out  # shown and not limited


def test_a_violation_is_printed_with_file_and_line(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tree, "app/errors.py", "import app.models\nimport worker\n")
    write(tree, "worker/__init__.py", "")
    assert main(tree) == 1
    out = capsys.readouterr().out.splitlines()
    assert "app/errors.py:1: circular import: app.errors -> app.models -> app.errors" in out
    assert "app/errors.py:2: app must not import worker" in out
    assert "app/errors.py:1: app.errors must not import app.models (layer order)" in out


def test_duplicates_are_found_in_tests_too(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = "".join(f"x{number} = {number}\n" for number in range(9))
    write(tree, "app/cli.py", block)
    write(tree, "tests/test_cli.py", block)
    assert main(tree) == 1
    assert "tests/test_cli.py:1: 9 lines of code are the same as at app/cli.py:1" in capsys.readouterr().out
