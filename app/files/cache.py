"""The files of finished jobs on disk. It is a cache: the files never change, and they can be deleted."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

UNFINISHED = "."  # the beginning of the name of a file that is being written
ABANDONED_SECONDS = 3600  # after this time without a change, nothing is writing an unfinished file any more
FORMAT = 7  # increase it with any change of the bytes: it is part of the names on disk and of the ETags


def folder_of(home: Path, job_id: UUID) -> Path:
    return home / "files" / str(job_id)


def path_of(home: Path, job_id: UUID, name: str) -> Path:
    return folder_of(home, job_id) / f"{FORMAT}-{name}"


def write(path: Path, pieces: Iterable[str | bytes]) -> None:
    """Writes a whole file or nothing. Simultaneous writers of one file write the same bytes.

    Raises: OSError, for example if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
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


def used(path: Path) -> None:
    """Notes that a file was used now, for `shrink`."""
    with suppress(FileNotFoundError):
        os.utime(path)


def shrink(home: Path, limit_bytes: int) -> None:
    """Deletes the files that were not used for the longest time until the rest has at most `limit_bytes`.

    Also deletes unfinished files of processes that were killed.
    """
    finished = []
    for path in (home / "files").glob("*/*"):
        with suppress(FileNotFoundError):  # another process has deleted it
            found = path.stat()
            if not path.name.startswith(UNFINISHED):
                finished.append((found.st_mtime, found.st_size, path))
            elif time.time() - found.st_mtime > ABANDONED_SECONDS:
                path.unlink()
    size = sum(size for _, size, _ in finished)
    for _, bytes_of_file, path in sorted(finished):
        if size <= limit_bytes:
            break
        path.unlink(missing_ok=True)
        size -= bytes_of_file
