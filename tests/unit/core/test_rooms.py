"""The rooms of the core stand alone: what they import, and what they can do without."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import worker.core

CORE = Path(worker.core.__file__).parent
SHARED = {"vocabulary", "quiet", "transfer"}
COMPOSERS = {"profile", "analysis", "engine", "__init__"}
# Importing any of these raises, at whatever depth: transformers, too, must get along without them.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"app", "pydantic", "sqlalchemy", "rq", "redis", "fastapi", "starlette"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
"""
USE = """
from pathlib import Path
from worker.core import load_model, profile_texts
print(sum(text.error is None for text in profile_texts(load_model(Path(sys.argv[1])), ["one", "two"])))
"""


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return named | plain


@pytest.mark.parametrize("path", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_rooms_do_not_import_each_other(path: Path) -> None:
    names = imported(path)
    assert not {name for name in names if name.split(".")[0] == "app"}
    inner = {name.removeprefix("worker.core.") for name in names if name.startswith("worker")}
    assert path.stem in COMPOSERS or inner <= SHARED


def test_the_core_works_without_the_service_installed(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + USE, str(folder)],
        cwd=CORE.parents[1],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr


def test_every_public_name_exists() -> None:
    assert all(hasattr(worker.core, name) for name in worker.core.__all__)
