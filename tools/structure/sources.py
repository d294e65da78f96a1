"""Reads the Python files of a repository."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Source:
    """A Python file. `path` is relative to the root of the repository."""

    path: PurePosixPath
    text: str

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def module(self) -> str:
        """The dotted name by which the file is imported."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if self.is_package else parts)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))


@dataclass(frozen=True)
class Violation:
    place: str  # file, or file:line
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True)
class Check:
    """One line of the report. It fails if there are violations."""

    rule: str
    limit: str
    found: str
    violations: tuple[Violation, ...] = ()


def place_of(source: Source, line: int) -> str:
    return f"{source.path}:{line}"


def read_sources(root: Path, folders: Iterable[str]) -> list[Source]:
    """The Python files below these folders of `root`, ordered by path. A missing folder is empty."""
    files = sorted(file for folder in folders for file in (root / folder).rglob("*.py"))
    return [
        Source(PurePosixPath(file.relative_to(root).as_posix()), file.read_text(encoding="utf-8"))
        for file in files
    ]
