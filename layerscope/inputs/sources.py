"""Finds the files of a user, and the domain that each of them stands for."""

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePath
from typing import IO

from layerscope.inputs.records import UnreadableInputError
from layerscope.names import DEFAULT_DOMAIN

MOST_SINGLE_TEXTS = 16  # as many domains as a job can have: more files with one text each are one domain


class InputFormat(StrEnum):
    """The formats of files, by their suffix."""

    TEXT = "text"
    JSON = "JSON"
    JSON_LINES = "JSON Lines"
    CSV = "CSV"
    PARQUET = "Parquet"


SUFFIXES = {
    ".txt": InputFormat.TEXT,
    ".json": InputFormat.JSON,
    ".jsonl": InputFormat.JSON_LINES,
    ".ndjson": InputFormat.JSON_LINES,
    ".csv": InputFormat.CSV,
    ".parquet": InputFormat.PARQUET,
}
READABLE = ", ".join(SUFFIXES)


@dataclass(frozen=True)
class InputSource:
    """A file. `format` is None if its content decides; `domain` is that of a text that names none itself."""

    name: str
    format: InputFormat | None
    domain: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass
class FoundSources:
    """`skipped`: how many files of the folders cannot be read, by what they are."""

    sources: list[InputSource] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def find_sources(paths: Sequence[str | Path], *, lines: bool = False) -> FoundSources:
    """The files at these paths: files, folders (each subfolder or file a domain), or "-" for stdin.

    `lines`: whether each line of a text file is a text. Raises: UnreadableInputError.
    """
    found = FoundSources()
    for path in paths:
        if str(path) == "-":
            found.sources.append(
                InputSource("stdin", None, DEFAULT_DOMAIN, partial(_left_open, sys.stdin.buffer))
            )
        elif Path(path).is_dir():
            found.sources += _sources_of_folder(Path(path), lines, found.skipped)
        else:
            found.sources.append(_source_of_file(Path(path)))
    return found


def uploaded(files: Sequence[tuple[str, IO[bytes]]], *, lines: bool = False) -> FoundSources:
    """Open files with the names that their sender gave them, perhaps with folders: "data/cpp/a.txt".

    Raises: UnreadableInputError if a suffix is unknown.
    """
    paths = [PurePath(name.replace("\\", "/")) for name, _ in files]
    domains = domains_of(paths, lines)
    sources = [
        InputSource(name, format_of(path), domains[path], partial(_left_open, file))
        for (name, file), path in zip(files, paths, strict=True)
    ]
    return FoundSources(sources)


def _left_open(file: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(file)


def domains_of(paths: Iterable[PurePath], lines: bool) -> dict[PurePath, str]:
    """The domain of each file: the subfolder of its folder, or its own name.

    Where more files of a folder than a job can have domains are one text each, they are one domain.
    """
    domains: dict[PurePath, str] = {}
    single: dict[str, list[PurePath]] = {}
    for path in paths:
        folder, *below = path.parts if len(path.parts) > 1 else ("", *path.parts)
        domains[path] = below[0] if len(below) > 1 else _stem(path)
        if folder and len(below) == 1 and not lines and format_by_suffix(path) == InputFormat.TEXT:
            single.setdefault(folder, []).append(path)
    for folder, found in single.items():
        if len(found) > MOST_SINGLE_TEXTS:
            domains |= dict.fromkeys(found, folder)
    return domains


def _stem(path: PurePath) -> str:
    uncompressed = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return uncompressed.with_suffix("").name if uncompressed.suffix.lower() in SUFFIXES else uncompressed.name


def format_by_suffix(path: PurePath) -> InputFormat | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def format_of(path: PurePath) -> InputFormat:
    found = format_by_suffix(path)
    if found is None:
        raise UnreadableInputError(
            f"{path} has none of the suffixes {READABLE} (also with .gz): rename it as its format requires."
        )
    return found


def _source_of_file(path: Path) -> InputSource:
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}.") from error
    return InputSource(str(path), format_of(path) if is_regular else None, _stem(path), _opener(path))


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        try:
            return path.open("rb")
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be read: {error.strerror}.") from error

    return opened


def _sources_of_folder(folder: Path, lines: bool, skipped: Counter[str]) -> list[InputSource]:
    files = list(_files(folder, skipped))
    if not files:
        raise UnreadableInputError(
            f"The folder {folder} contains no file with one of the suffixes {READABLE}."
        )
    named = {file: PurePath(folder.resolve().name, file.relative_to(folder)) for file in files}
    domains = domains_of(named.values(), lines)
    return [
        InputSource(str(file), format_by_suffix(file), domains[named[file]], _opener(file)) for file in files
    ]


def _files(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """The readable files below the folder, sorted by their path."""
    for place, folders, files in os.walk(folder, onerror=_unreadable_folder):
        for name in [name for name in folders if name.startswith(".") or (Path(place) / name).is_symlink()]:
            folders.remove(name)
            skipped["hidden or linked folder"] += 1
        folders.sort()
        for file in sorted(files):
            if file.startswith("."):
                skipped["hidden file"] += 1
            elif format_by_suffix(PurePath(file)) is None:
                skipped[PurePath(file).suffix or "file without suffix"] += 1
            else:
                yield Path(place) / file


def _unreadable_folder(error: OSError) -> None:
    raise UnreadableInputError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error
