"""The files of finished jobs on disk. It is a cache: the files never change, and they can be deleted."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

FORMAT = 5  # increase it with any change of the bytes: it is part of the names on disk and of the ETags


def folder_of(home: Path, job_id: UUID) -> Path:
    return home / "files" / str(job_id)


def path_of(home: Path, job_id: UUID, name: str) -> Path:
    return folder_of(home, job_id) / f"{FORMAT}-{name}"


def write(path: Path, pieces: Iterable[str | bytes]) -> None:
    """Writes a whole file or nothing. Simultaneous writers of one file write the same bytes."""
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
        with suppress(ValueError):  # not a folder of a job
            yield UUID(folder.name)


def remove(home: Path, job_id: UUID) -> None:
    shutil.rmtree(folder_of(home, job_id), ignore_errors=True)
