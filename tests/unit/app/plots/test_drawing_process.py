"""Plots are drawn by another process, which is started again whenever that is necessary."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from app.errors import TooBusy
from app.plots import PLOTS, Plot, PlotRow, draw, drawing_process
from app.plots.drawing.sheet import Sheet
from app.plots.drawing_process import DrawingProcess
from tests.support.drawn_plots import CAPTION
from tests.support.jobs.plot_rows import rows_for


@dataclass(frozen=True, kw_only=True)
class Misbehaving(Plot):
    def draw(self, sheet: Sheet, rows: Sequence[PlotRow], caption: str) -> None:
        match caption:
            case "endless":
                while True:
                    pass
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "failing":
                raise ValueError("cannot be drawn")
            case "process":
                sheet.write(0, 0, f"process {os.getpid()}.")


MISBEHAVING = Misbehaving(title="", scope="all")


@pytest.fixture
def drawing() -> Iterator[DrawingProcess]:
    running = DrawingProcess(seconds=20)
    yield running
    running.close()


def process_of(drawing: DrawingProcess) -> str:
    found = drawing.draw(MISBEHAVING, [], "process", "svg").decode()
    return found.partition("process ")[2].partition(".")[0]


def test_the_bytes_are_those_of_this_process(drawing: DrawingProcess) -> None:
    for name in ("relative", "heatmap"):
        rows = rows_for(name)
        expected = draw(PLOTS[name], rows, CAPTION, "png")
        assert drawing.draw(PLOTS[name], rows, CAPTION, "png") == expected


def test_an_error_of_a_plot_is_raised_here(drawing: DrawingProcess) -> None:
    first = process_of(drawing)
    with pytest.raises(ValueError, match="cannot be drawn"):
        drawing.draw(MISBEHAVING, [], "failing", "png")
    assert process_of(drawing) == first != str(os.getpid())


@pytest.mark.parametrize(
    ("caption", "reason"), [("killed", "process ended"), ("endless", "LAYERSCOPE_DRAWING_SECONDS")]
)
def test_a_plot_that_ends_or_occupies_the_process_is_given_up(caption: str, reason: str) -> None:
    drawing = DrawingProcess(seconds=3)
    try:
        first = process_of(drawing)
        with pytest.raises(TooBusy, match=reason):
            drawing.draw(MISBEHAVING, [], caption, "png")
        assert not psutil.pid_exists(int(first))
        assert process_of(drawing) != first
    finally:
        drawing.close()


def test_after_many_plots_a_new_process_starts_and_no_file_stays_open(
    drawing: DrawingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing_process, "PLOTS_PER_PROCESS", 2)
    found: list[Any] = []
    open_files = []
    for _ in range(4):
        found.append(process_of(drawing))
        open_files.append(psutil.Process().num_fds())
    assert found[0] == found[1] != found[2] == found[3]
    assert open_files[:2] == open_files[2:]


def test_closing_ends_the_process(drawing: DrawingProcess) -> None:
    first = process_of(drawing)
    drawing.close()
    assert not psutil.pid_exists(int(first))
