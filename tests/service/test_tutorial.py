"""The tutorial is run from its first cell to its last, and shows what it is stored with."""

from copy import deepcopy

import pytest

from tests.support.programs.notebook import TUTORIAL, code_cells, printed, read, run, shown
from tests.support.programs.processes import RunningStack


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the packages of Jupyter
def test_the_cells_show_what_is_stored(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSCOPE_SERVER", stack.base_url)
    stored = read()
    executed = deepcopy(stored)
    run(executed)
    for old, new in zip(code_cells(stored), code_cells(executed), strict=True):
        assert printed(new) == printed(old)
        assert shown(new) == shown(old)


def test_what_is_stored_is_small_and_whole() -> None:
    assert TUTORIAL.stat().st_size < 30_000
    cells = code_cells(read())
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.outputs for cell in cells)
    assert any("<svg" in str(cell.outputs) for cell in cells)
