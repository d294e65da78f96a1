"""`docs/architecture.md` lists every module of the three packages, and no other."""

import re
from pathlib import Path

from app.resources import ROOT

PACKAGES = ("layerscope", "app", "worker")
WITHOUT_CONTENT = {"layerscope/core/__init__.py", "layerscope/stats/__init__.py"}  # exports, one constant


def listed_modules() -> set[str]:
    """The first cell of each row below a heading that names a folder."""
    modules: set[str] = set()
    folder = None
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = re.match(r"### `([\w/]+)/`", line)
            folder = heading[1] if heading else None
        elif folder and line.startswith("| `"):
            modules |= {f"{folder}/{name}" for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
    return modules


def modules_of(package: str) -> set[str]:
    files = [path for path in (ROOT / package).rglob("*.py") if path.stat().st_size > 0]
    return {path.relative_to(ROOT).as_posix() for path in files} - WITHOUT_CONTENT


def test_every_module_is_listed() -> None:
    existing = {module for package in PACKAGES for module in modules_of(package)}
    assert existing - listed_modules() == set()


def test_what_is_listed_exists() -> None:
    assert [name for name in listed_modules() if not (ROOT / Path(name)).exists()] == []
