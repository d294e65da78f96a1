"""The tutorial is run from its first cell to its last, and prints what it is stored with."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.notebook import TUTORIAL, code_cells, read, run, stored
from tests.support.processes import RunningStack


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_cells_print_what_is_stored(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(TUTORIAL.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    notebook = read()
    assert run(notebook, stack.base_url) == [stored(cell) for cell in code_cells(notebook)]


def test_what_is_stored_is_small_and_whole() -> None:
    assert TUTORIAL.stat().st_size < 30_000
    cells = code_cells(read())
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(stored(cell) for cell in cells)
