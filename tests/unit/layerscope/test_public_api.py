"""`from layerscope import …`: loads torch only when it is needed, and works in any directory."""

import subprocess
import sys
from pathlib import Path

import pytest

import layerscope

DEMO = Path(layerscope.__file__).parents[1] / "demo" / "model"
# Printed by one process for two tests: importing torch takes seconds.
USE = f"""
import sys
import layerscope
layerscope.ModelError, dir(layerscope)
print(sorted({{"torch", "transformers", "numpy", "scipy"}} & set(sys.modules)))
layerscope.load_model
print(sorted({{"torch", "transformers", "numpy", "scipy"}} & set(sys.modules)))
from transformers import AttentionInterface
print("layerscope_packed" in AttentionInterface())

from layerscope import load_model, profile_texts

found = list(profile_texts(load_model({str(DEMO)!r}), ["one", "two"]))
print([(text.ordinal, text.error, text.values.shape) for text in found])
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """By `python -c`, which searches modules in the current directory first, next to modules of the user."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("worker", "app"):
        (folder / f"{name}.py").write_text("raise SystemExit('a module of the user was imported')\n")
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=folder, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_works_next_to_the_users_own_modules_of_the_same_names(printed: list[str]) -> None:
    layers = 10
    assert printed[3:] == [f"[(0, None, (3, 4, {layers}, 7)), (1, None, (3, 4, {layers}, 7))]"]


def test_torch_is_loaded_only_when_it_is_needed_and_importing_registers_nothing(printed: list[str]) -> None:
    assert printed[:3] == ["[]", "['numpy', 'scipy', 'torch', 'transformers']", "False"]


@pytest.mark.parametrize("name", layerscope.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(layerscope, name).__name__ == name
    assert name in dir(layerscope)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'layerscope' has no attribute 'profile_text'"):
        _ = layerscope.profile_text
