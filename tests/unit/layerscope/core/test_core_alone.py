"""The core needs only torch, transformers, numpy and scipy."""

import subprocess
import sys
from pathlib import Path

import pytest

import layerscope.core

ROOT = Path(layerscope.__file__).parents[1]
# Importing any of these raises, also indirectly: transformers must work without them, too.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"app", "pydantic", "sqlalchemy", "rq", "redis", "fastapi",
            "starlette", "statsmodels"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
"""
USE = """
from pathlib import Path
from layerscope import load_model, profile_texts
print(sum(text.error is None for text in profile_texts(load_model(Path(sys.argv[1])), ["one", "two"])))
"""


@pytest.mark.slow
def test_the_core_works_without_the_service_installed(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + USE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr


def test_every_public_name_exists() -> None:
    assert all(hasattr(layerscope.core, name) for name in layerscope.core.__all__)
