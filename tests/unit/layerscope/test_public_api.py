"""`from layerscope import …`: loads torch only when it is needed, and works in any directory."""

import subprocess
import sys
from pathlib import Path

import pytest

import layerscope

DEMO = Path(layerscope.__file__).parents[1] / "demo" / "model"
PROFILE = f"""
from layerscope import load_model, profile_texts

found = list(profile_texts(load_model({str(DEMO)!r}), ["one", "two"]))
print([(text.ordinal, text.error, text.values.shape) for text in found])
"""
LOADED = """
import sys
import layerscope
layerscope.ModelError, dir(layerscope)
print(sorted({"torch", "transformers", "numpy", "scipy"} & set(sys.modules)))
layerscope.load_model
print(sorted({"torch", "transformers", "numpy", "scipy"} & set(sys.modules)))
from transformers import AttentionInterface
print("layerscope_packed" in AttentionInterface())
"""


def python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_works_next_to_the_users_own_modules_of_the_same_names(tmp_path: Path) -> None:
    """`python -c` searches modules in the current directory first."""
    for name in ("worker", "app"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user was imported')\n")
    layers = 10
    assert python(PROFILE, tmp_path) == f"[(0, None, (3, 4, {layers}, 7)), (1, None, (3, 4, {layers}, 7))]\n"


def test_torch_is_loaded_only_when_it_is_needed_and_importing_registers_nothing(tmp_path: Path) -> None:
    assert python(LOADED, tmp_path) == "[]\n['numpy', 'scipy', 'torch', 'transformers']\nFalse\n"


@pytest.mark.parametrize("name", layerscope.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(layerscope, name).__name__ == name
    assert name in dir(layerscope)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'layerscope' has no attribute 'profile_text'"):
        _ = layerscope.profile_text
