"""Finds files on object storage and on other file systems that fsspec knows."""

from collections import Counter
from functools import partial
from pathlib import PurePath
from typing import Any

from layerscope.inputs.records import UnreadableInputError
from layerscope.inputs.sources import (
    READABLE,
    FoundSources,
    InputSource,
    domains_of,
    format_by_suffix,
    format_of,
)


def is_remote(path: str) -> bool:
    """Whether a path is an address of fsspec, such as s3://bucket/folder."""
    return "://" in path


def find_remote_sources(address: str, *, lines: bool = False) -> FoundSources:
    """The file at this address, or all files below it: each subfolder or file a domain, as in a local folder.

    Raises: UnreadableInputError, also if the package of the file system is not installed.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UnreadableInputError(f"{address} needs the package fsspec: `pip install fsspec`.") from error
    try:
        system, root = url_to_fs(address)
        is_folder = system.isdir(root)
        found = sorted(system.find(root)) if is_folder else [system.info(root)["name"]]
    except Exception as error:  # each file system raises its own errors
        cause = str(error) or type(error).__name__
        raise UnreadableInputError(f"{address} cannot be read: {cause}.") from error
    above = PurePath(root).parent
    named = {path: PurePath(path).relative_to(above) for path in found}
    if not is_folder:
        format_of(PurePath(root))
        named = {found[0]: PurePath(PurePath(root).name)}
    return _sources(address, system, named, lines)


def _sources(address: str, system: Any, named: dict[str, PurePath], lines: bool) -> FoundSources:
    """`named`: the name of each file, which begins with that of the folder."""
    skipped = Counter[str]()
    for path, name in list(named.items()):
        if format_by_suffix(name) is None:
            skipped[name.suffix or "file without suffix"] += 1
            del named[path]
    if not named:
        raise UnreadableInputError(f"{address} contains no file with one of the suffixes {READABLE}.")
    domains = domains_of(named.values(), lines)
    sources = [
        InputSource(
            system.unstrip_protocol(path), format_by_suffix(name), domains[name], partial(system.open, path)
        )
        for path, name in named.items()
    ]
    return FoundSources(sources, skipped)
