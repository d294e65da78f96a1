"""The folder of a corpus: on this machine, or on an object storage that fsspec knows."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from app.errors import ConfigurationError

UNFINISHED = ".unfinished-"  # the beginning of the name of a local file that is being written


class Storage:
    """Files by their names relative to the folder. A file exists as a whole or not at all."""

    def __init__(self, address: str) -> None:
        """Raises: ConfigurationError if the package of the file system is not installed."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        self.address = address
        try:
            self._system, self._root = url_to_fs(address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"{address} cannot be written: {error}.") from error
        self._is_local = isinstance(self._system, LocalFileSystem)

    def names(self, folder: str = "") -> set[str]:
        """The names of the files and folders in a folder; none if it does not exist."""
        try:
            found: list[Any] = self._system.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return set()
        names = {str(path).rstrip("/").rpartition("/")[2] for path in found}
        return {name for name in names if not name.startswith(UNFINISHED)}

    def read(self, name: str) -> bytes:
        """Raises: FileNotFoundError."""
        content: bytes = self._system.cat_file(self._path(name))
        return content

    def write(self, name: str, pieces: Iterable[str | bytes]) -> None:
        """Replaces a file. An object storage shows an object when all of it has arrived; a local file gets
        its name when it is complete."""
        content = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        path = self._path(name)
        if not self._is_local:
            self._system.pipe_file(path, content)
            return
        folder, _, last = path.rpartition("/")
        os.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/{UNFINISHED}{os.getpid()}-{last}"
        with open(unfinished, "wb") as file:
            file.write(content)
        os.replace(unfinished, path)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")
