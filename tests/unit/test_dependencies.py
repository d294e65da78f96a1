"""Each package that the product imports is declared in pyproject.toml."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from app.resources import ROOT

OURS = ("layerscope", "app", "worker")
WITH_PYTORCH = {"triton"}  # comes with the PyTorch for GPUs, and is imported only on a GPU
# Many packages share this name; those that we import depend on the others.
NAMESPACES = {"opentelemetry": ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"]}
FILES = [file for folder in (*OURS, "migrations") for file in (ROOT / folder).rglob("*.py")]


def imported_packages(files: Iterable[Path]) -> set[str]:
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {*OURS} - WITH_PYTORCH


def normalized(name: str) -> str:
    """The same for all spellings of a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """The packages that are always installed, and those of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    of_extras = [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {normalized(re.split(r"[^\w.-]", line)[0]) for line in [*project["dependencies"], *of_extras]}


def imported(files: Iterable[Path]) -> set[str]:
    distributions = {**packages_distributions(), **NAMESPACES}
    return {normalized(name) for package in imported_packages(files) for name in distributions[package]}


def test_every_imported_package_is_declared() -> None:
    found = imported(FILES)
    assert {"torch", "psycopg"} <= found
    assert found - declared("all", "otel", "ray") == set()


def test_the_client_and_its_commands_need_only_what_is_always_installed() -> None:
    """Except for what they import where it is used: Parquet, object storage, and the tokenizer of a model."""
    assert declared("client") == declared() == {"httpx", "pydantic", "typer"}
    folders = [ROOT / "layerscope" / name for name in ("client", "cli", "inputs")]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    assert imported(files) - declared() == {"fsspec", "pyarrow", "transformers"}
