"""Finds the private terms that standard terms have replaced."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.structure.sources import Check, Violation

SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".html",
    ".js",
    ".css",
    ".ipynb",
    ".yml",
    ".cff",
    "",
}  # "": Makefile, Dockerfile


@dataclass(frozen=True)
class Term:
    """A retired term. `pattern` is a regular expression for the term without letters before and after it."""

    pattern: str
    replacement: str
    ignores_case: bool = True

    def compiled(self) -> re.Pattern[str]:
        # Unlike \b, this finds the words of snake_case names, too.
        return re.compile(
            rf"(?<![A-Za-z])(?:{self.pattern})(?![A-Za-z])", re.IGNORECASE if self.ignores_case else 0
        )


def check_terms(
    root: Path,
    places: Sequence[str],
    terms: Sequence[Term],
    allowed: Mapping[str, Mapping[str, str]],
    excluded: Sequence[str] = (),
) -> Check:
    """`places` are files and folders of `root`; paths that start with one of `excluded` are not searched.

    `allowed` maps a file, or the start of its path, to the patterns that it may contain, each with a reason.
    An exception that is not needed is a violation.
    """
    violations = []
    all_exceptions = {(start, pattern) for start, patterns in allowed.items() for pattern in patterns}
    unused = set(all_exceptions)
    for file in _files(root, places):
        path = file.relative_to(root).as_posix()
        if path.startswith(tuple(excluded)):
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        for term in terms:
            found = _occurrences(path, lines, term)
            exceptions = {
                (start, pattern)
                for start, pattern in all_exceptions
                if pattern == term.pattern and path.startswith(start)
            }
            if not exceptions:
                violations += found
            elif found:
                unused -= exceptions
    violations += [
        Violation(start, f"the exception for the term “{pattern}” is not needed")
        for start, pattern in sorted(unused)
        if (root / start).exists()
    ]
    return Check("retired terms", "none", str(len(violations)), tuple(violations))


def _occurrences(path: str, lines: Sequence[str], term: Term) -> list[Violation]:
    pattern = term.compiled()
    return [
        Violation(f"{path}:{number}", f"“{found[0]}” is a retired term; use: {term.replacement}")
        for number, line in enumerate(lines, 1)
        if (found := pattern.search(line))
    ]


def _files(root: Path, places: Sequence[str]) -> list[Path]:
    found: set[Path] = set()
    for place in places:
        path = root / place
        found |= {path} if path.is_file() else set(path.rglob("*"))
    return sorted(file for file in found if file.is_file() and file.suffix in SUFFIXES)
