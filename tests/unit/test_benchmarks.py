"""The benchmarks compare what is the same: shown on a tiny model, with nothing timed."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.contestants import child_program as contestant
from benchmarks.contestants import layerscope_core as engine
from benchmarks.contestants import transformers_loops as study
from benchmarks.contestants.contestant_process import ContestantProcess, Entry
from benchmarks.engine.comparison import TOLERANCE, difference
from benchmarks.engine.overhead import bare, whole
from benchmarks.inputs.shapes import SHAPES, ensure_model
from benchmarks.inputs.texts import LONGEST, SHORTEST, of_length, synthetic, tokens_of
from benchmarks.measuring.timing import ratios, spread
from benchmarks.report import Report
from layerscope.core import load_model
from layerscope.names import COMPONENTS

TEXTS = synthetic(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_model(SHAPES["tiny"], tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("other", [study.hidden_states, engine.block, engine.everything])
def test_all_measure_what_the_study_loop_measures(
    folder: Path, other: Callable[[Path, str, str], study.Contestant]
) -> None:
    expected = np.stack(list(study.study_loop(folder, "float32", "cpu")(TEXTS)))
    found = np.stack(list(other(folder, "float32", "cpu")(TEXTS)))
    assert found.shape == expected.shape == (5, SHAPES["tiny"].layers - 1, 2)
    assert difference(found, expected) < TOLERANCE["float32"]


def test_a_lane_answers_as_its_contestant_does(folder: Path) -> None:
    with ContestantProcess(Entry("study loop", folder, "float32", "cpu", sys.executable), TEXTS) as process:
        found, _ = process.check()
        took, _ = process.run()
    expected = np.stack(list(study.study_loop(folder, "float32", "cpu")(TEXTS)))
    assert difference(found, expected) < TOLERANCE["float32"]
    assert took.wall > 0


def test_the_bare_pass_has_no_hook_and_leaves_none(folder: Path) -> None:
    model = load_model(folder, dtype="float32", device="cpu")
    assert bare(model, TEXTS).wall > 0
    assert whole(model, TEXTS, COMPONENTS).wall > 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.module.modules())


def test_every_contestant_has_a_place(folder: Path) -> None:
    for place in contestant.CONTESTANTS.values():
        module, _, function = place.partition(":")
        assert hasattr(__import__(module, fromlist=[function]), function)


def test_texts_have_the_lengths_they_are_said_to_have() -> None:
    assert all(SHORTEST <= tokens_of([text]) <= LONGEST for text in synthetic(200))
    assert synthetic(3) == synthetic(3)
    assert [tokens_of([text]) for text in of_length(3, 64)] == [64, 64, 64]


def test_ratios_are_taken_round_by_round() -> None:
    assert spread([4, 1, 2, 3, 5]) == spread([1, 2, 3, 4, 5])
    assert ratios([2, 20, 4], [1, 10, 2]).median == 2
    assert f"{spread([1, 2, 3, 4, 5]):.1f}" == "3.0 [2.0–4.0]"


def test_the_log_grows(tmp_path: Path) -> None:
    for number in range(2):
        report = Report(f"entry {number}")
        report.table(("a", "b"), [("1", "2")])
        report.append_to(tmp_path / "LOG.md")
    log = (tmp_path / "LOG.md").read_text()
    assert log.startswith("# TextResult")
    assert log.count("| 1 | 2 |") == 2
    assert log.index("## entry 0") < log.index("## entry 1")
