"""The rules of docs/architecture.md."""

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.jobs import notifications
from app.resources import ROOT
from app.settings import Settings

LIBRARY = sorted((ROOT / "layerscope").rglob("*.py"))
CORE = sorted((ROOT / "layerscope" / "core").rglob("*.py"))
STATS = sorted((ROOT / "layerscope" / "stats").rglob("*.py"))
APP = sorted((ROOT / "app").rglob("*.py"))
WORKER = sorted((ROOT / "worker").rglob("*.py"))
SERVICE = ("app", "pydantic", "sqlalchemy", "rq", "redis", "fastapi", "starlette", "psycopg")
NEEDS_TRITON = {  # Triton comes with the PyTorch for GPUs only
    "layerscope.core.attention.rotary_kernel",
    "layerscope.core.sums.fused_kernels",
    "layerscope.core.sums.triton_kernel",
}
Loaded = dict[str, set[str]]  # stage → the packages loaded after it
ENTRY_POINTS = {"app/cli.py", "worker/fetch_model.py", "worker/process.py"}


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(files: list[Path]) -> list[str]:
    return [module_of(file) for file in files]


def imports_of(file: Path) -> set[str]:
    """Everything named by an import statement, also within functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def loaded_by(stages: dict[str, list[str]]) -> Loaded:
    """The packages that a fresh interpreter has loaded after each stage: it imports the modules of one stage
    after the other, except those that this machine lacks."""
    code = "import sys"
    for modules in stages.values():
        names = [module for module in modules if module not in NEEDS_TRITON or find_spec("triton")]
        code += f"\nimport {', '.join(names)}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = zip(stages, run.stdout.splitlines(), strict=True)
    return {stage: {name.split(".")[0] for name in line.split()} for stage, line in lines}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    """Two interpreters for all tests: importing torch takes seconds."""
    library = {"layerscope": ["layerscope"], "core": modules_of(CORE), "library": modules_of(LIBRARY)}
    return loaded_by(library) | loaded_by({"stats": modules_of(STATS), "app": modules_of(APP)})


def assert_never_imports(files: list[Path], *packages: str) -> None:
    for file in files:
        names = [name for name in imports_of(file) if is_within(name, *packages)]
        assert not names, file


def test_the_library_imports_neither_app_nor_worker(loaded: Loaded) -> None:
    assert not loaded["library"] & {"app", "worker"}
    assert_never_imports(LIBRARY, "app", "worker")


def test_importing_the_library_loads_neither_torch_nor_transformers(loaded: Loaded) -> None:
    assert not loaded["layerscope"] & {"torch", "transformers", "numpy"}


def test_the_core_needs_nothing_of_the_service_or_of_the_statistics(loaded: Loaded) -> None:
    assert not loaded["core"] & {*SERVICE, "worker", "statsmodels"}
    assert_never_imports(CORE, *SERVICE, "worker", "layerscope.stats")


def test_the_statistics_know_neither_models_nor_databases(loaded: Loaded) -> None:
    assert not loaded["stats"] & {*SERVICE, "worker", "torch", "transformers"}
    assert_never_imports(STATS, *SERVICE, "worker", "torch", "transformers", "layerscope.core")


def test_the_front_end_loads_neither_torch_nor_transformers_nor_the_worker(
    loaded: Loaded,
) -> None:
    assert not loaded["app"] & {"torch", "transformers", "worker"}
    assert_never_imports(APP, "torch", "transformers", "worker", "layerscope.core")


def test_notifications_name_a_function_of_the_worker() -> None:
    module, _, function = notifications.DRAIN.rpartition(".")
    tree = ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text())
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    assert [argument.arg for argument in found.args.args] == ["model"]


def test_only_main_and_the_api_know_http() -> None:
    outside = [
        file
        for file in LIBRARY + APP + WORKER
        if file != ROOT / "app" / "main.py" and ROOT / "app" / "api" not in file.parents
    ]
    assert_never_imports(outside, "fastapi", "starlette")


def test_the_worker_knows_nothing_of_http() -> None:
    assert_never_imports(WORKER, "app.main", "app.api", "app.schemas")


def test_only_entry_points_build_settings() -> None:
    files = LIBRARY + APP + WORKER
    assert {str(file.relative_to(ROOT)) for file in files if _builds_settings(file)} == ENTRY_POINTS


def _builds_settings(file: Path) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return any(isinstance(function, ast.Name) and function.id == "Settings" for function in calls)


@pytest.mark.parametrize("kind", ["unit", "service"])
def test_the_folders_of_the_tests_are_those_of_the_packages(kind: str) -> None:
    tests = ROOT / "tests" / kind
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
    assert {Path("app"), Path("worker")} & folders
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_stands_in_the_docs_with_its_default(setting: str) -> None:
    default = Settings.model_fields[setting].default
    shown = "" if default in (None, ()) else f"`{default}`"
    row = rf"^\| `LAYERSCOPE_{setting.upper()}` \| {re.escape(shown)} ?\|"
    assert re.search(row, (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE), row


def test_leases_and_times_use_the_clock_of_the_database() -> None:
    """The clocks of workers differ. `time.monotonic` measures durations within one process."""
    files = [*(ROOT / "app" / "jobs").rglob("*.py"), *(ROOT / "app" / "tables").rglob("*.py"), *WORKER]
    clocks = r"datetime\.(now|utcnow|today)\(|\btime\.time\("
    assert [file for file in files if re.search(clocks, file.read_text())] == []
