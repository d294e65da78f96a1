"""The files of finished jobs on disk: a cache of bytes that never change, which may be emptied."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from app.files.export import FORMAT


def folder_of(home: Path, job_id: UUID) -> Path:
    return home / "files" / str(job_id)


def path_of(home: Path, job_id: UUID, name: str) -> Path:
    return folder_of(home, job_id) / f"{FORMAT}-{name}"


def write(path: Path, pieces: Iterable[str | bytes]) -> None:
    """All or nothing; of several writers at once the last wins, with the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with open(handle, "wb") as file:
            file.writelines(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        os.replace(unfinished, path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def jobs_with_files(home: Path) -> Iterator[UUID]:
    for folder in (home / "files").glob("*"):
        with suppress(ValueError):  # it is none of ours
            yield UUID(folder.name)


def remove(home: Path, job_id: UUID) -> None:
    shutil.rmtree(folder_of(home, job_id), ignore_errors=True)
