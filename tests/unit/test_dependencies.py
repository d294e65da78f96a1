"""Each package that the product imports is declared in pyproject.toml."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from app.resources import ROOT

OURS = ("layerscope", "app", "worker")
WITH_PYTORCH = {"triton"}  # comes with the PyTorch for GPUs, and is imported only on a GPU
FILES = [file for folder in (*OURS, "migrations") for file in (ROOT / folder).rglob("*.py")]


def imported_packages() -> set[str]:
    names = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {*OURS} - WITH_PYTORCH


def normalized(name: str) -> str:
    """The same for all spellings of a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normalized(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]}
    distributions = packages_distributions()
    imported = {normalized(name) for package in imported_packages() for name in distributions[package]}
    assert {"torch", "psycopg"} <= imported
    assert imported - declared == set()
