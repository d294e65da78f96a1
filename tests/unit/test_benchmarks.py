"""The benchmarks compare equal computations. Shown on a tiny model; nothing is timed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from torch import nn

from app.plots import PLOTS, draw
from benchmarks.contestants import layerscope_core, transformers_loops
from benchmarks.contestants.contestant_process import ContestantFailed, ContestantProcess, Entry
from benchmarks.contestants.registry import CONTESTANTS
from benchmarks.contestants.transition_statistics import Contestant
from benchmarks.engine.comparison import TOLERANCE, difference
from benchmarks.engine.overhead import bare_forward, full_profile
from benchmarks.inputs.shapes import SHAPES, ensure_model
from benchmarks.inputs.texts import LONGEST, SHORTEST, of_length, synthetic, tokens_of
from benchmarks.measuring.interference import RepeatBudget, Run
from benchmarks.measuring.interleaving import interleave
from benchmarks.measuring.processor_time import processor_seconds
from benchmarks.measuring.timing import ratios, spread
from benchmarks.paths import LOG, ROOT
from benchmarks.report import LOG_HEAD, Report
from benchmarks.service.plots import random_rows
from layerscope.core import load_model
from layerscope.names import COMPONENTS

TEXTS = synthetic(5)
# Under benchmarks/: they run the service, or parts of it.
WITH_SERVICE = {"service", "load", "fleet.py", "soak.py"}
# Importing one of these raises. Only benchmarks/service may need them.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"app", "worker", "psycopg", "sqlalchemy", "alembic", "fastapi", "starlette",
            "pydantic", "rq", "redis", "statsmodels"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_model(SHAPES["tiny"], tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(
    "other", [transformers_loops.hidden_states, layerscope_core.block, layerscope_core.all_components]
)
def test_all_contestants_measure_the_same_as_the_study_loop(
    folder: Path, other: Callable[[Path, str, str], Contestant]
) -> None:
    expected = np.stack(list(transformers_loops.study_loop(folder, "float32", "cpu")(TEXTS)))
    found = np.stack(list(other(folder, "float32", "cpu")(TEXTS)))
    assert found.shape == expected.shape == (5, SHAPES["tiny"].layers - 1, 2)
    assert difference(found, expected) < TOLERANCE["float32"]


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_can_be_drawn_of_the_rows_of_its_benchmark(name: str) -> None:
    rows = random_rows(PLOTS[name], ["a", "b"], 3)
    assert draw(PLOTS[name], rows, "", "svg").startswith(b"<?xml")


@pytest.mark.slow
def test_a_contestant_process_returns_the_statistics_of_its_contestant(folder: Path) -> None:
    entry = Entry("study loop", folder, "float32", "cpu", sys.executable)
    with ContestantProcess(entry, TEXTS) as contestant:
        found, _ = contestant.check()
        run, _ = contestant.run()
    expected = np.stack(list(transformers_loops.study_loop(folder, "float32", "cpu")(TEXTS)))
    assert difference(found, expected) < TOLERANCE["float32"]
    assert run.wall > 0


@pytest.mark.slow
def test_the_error_of_a_contestant_is_reported(tmp_path: Path) -> None:
    contestant = ContestantProcess(Entry("study loop", tmp_path, "float32", "cpu", sys.executable), TEXTS)
    with pytest.raises(ContestantFailed, match=str(tmp_path)), contestant:
        pass


def hooks_of(module: nn.Module) -> int:
    """PyTorch has no public function that lists hooks; the next test fails if these names change."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def test_the_private_lists_of_hooks_contain_registered_hooks() -> None:
    module = nn.Sequential(nn.Linear(1, 1))
    module[0].register_forward_hook(lambda *_: None)
    module.register_forward_pre_hook(lambda *_: None)
    assert hooks_of(module) == 2


def test_the_bare_forward_pass_leaves_no_hooks(folder: Path) -> None:
    model = load_model(folder, dtype="float32", device="cpu")
    assert bare_forward(model, TEXTS).wall > 0
    assert full_profile(model, TEXTS, COMPONENTS).wall > 0
    assert hooks_of(model.module) == 0


def test_the_bare_forward_pass_has_no_hook_on_a_layer(folder: Path) -> None:
    model = load_model(folder, dtype="float32", device="cpu")
    layers: nn.Module = model.module.layers
    found = []
    model.module.register_forward_hook(lambda *_: found.append(hooks_of(layers)))
    bare_forward(model, TEXTS)
    assert set(found) == {0}
    full_profile(model, TEXTS, COMPONENTS)
    assert found[-1] > 0


def test_the_functions_of_all_contestants_exist() -> None:
    for place in CONTESTANTS.values():
        module, _, function = place.partition(":")
        assert hasattr(__import__(module, fromlist=[function]), function)


def test_texts_have_the_stated_lengths() -> None:
    assert all(SHORTEST <= tokens_of([text]) <= LONGEST for text in synthetic(200))
    assert synthetic(3) == synthetic(3)
    assert [tokens_of([text]) for text in of_length(3, 64)] == [64, 64, 64]


def test_ratios_are_computed_round_by_round() -> None:
    assert spread([4, 1, 2, 3, 5]) == spread([1, 2, 3, 4, 5])
    assert ratios([2, 20, 4], [1, 10, 2]).median == 2
    assert f"{spread([1, 2, 3, 4, 5]):.1f}" == "3.0 [2.0–4.0]"


def test_each_round_begins_with_a_different_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measuring.interleaving.PAUSE_SECONDS", 0)
    order: list[str] = []

    def side(name: str) -> Callable[[], Run]:
        def run() -> Run:
            order.append(name)
            return Run(len(order), 0)

        return run

    first, second = interleave([side("a"), side("b")], 3, RepeatBudget(0))
    assert "".join(order) == "abbaab"
    assert ([run.wall for run in first], [run.wall for run in second]) == ([1, 4, 5], [2, 3, 6])


def test_new_entries_are_appended_to_the_log(tmp_path: Path) -> None:
    for number in range(2):
        report = Report(f"entry {number}")
        report.table(("a", "b"), [("1", "2")])
        report.append_to(tmp_path / "LOG.md")
    log = (tmp_path / "LOG.md").read_text()
    assert log.startswith("# Measurements")
    assert log.count("| 1 | 2 |") == 2
    assert log.index("## entry 0") < log.index("## entry 1")
    assert LOG.read_text(encoding="utf-8").startswith(LOG_HEAD)


@pytest.mark.slow
def test_only_the_benchmarks_of_the_service_need_its_packages() -> None:
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / "benchmarks").rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts) for path in paths if path.parts[1] not in WITH_SERVICE]
    modules = [name.removesuffix(".__init__") for name in names]
    use = f"import {', '.join(modules)}\nfrom benchmarks.__main__ import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + use, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ("--only", "--shape", "--budget", "--no-log"))


@pytest.mark.parametrize("ended", [True, False])
def test_the_processor_time_includes_children_that_have_ended(ended: bool) -> None:
    work = "import sys, time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)"
    rest = "" if ended else "\nsys.stdin.read()"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work + rest!r}]); sys.stdin.read()"
    )
    command = (sys.executable, "-c", parent)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        found = psutil.Process(process.pid)
        if ended:
            psutil.wait_procs(found.children())
        assert processor_seconds(found) >= 0.5
        process.communicate()
