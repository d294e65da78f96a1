"""Reads a file of a job in pieces, and continues after an interruption."""

from collections.abc import Iterator
from pathlib import Path

from layerscope.client.errors import ServiceUnreachableError, UnexpectedAnswerError
from layerscope.client.transport import Transport

INTERRUPTIONS = 5  # without a byte in between


def read_pieces(transport: Transport, path: str) -> Iterator[bytes]:
    """The content of a file. After an interruption, the rest is requested: files never change.

    Raises: ClientError.
    """
    position, tag, failures = 0, "", 0
    while True:
        headers = {"Range": f"bytes={position}-", "If-Range": tag} if position else {}
        with transport.answered("GET", path, headers={"Accept-Encoding": "identity", **headers}) as answer:
            if position and answer.status_code != 206:
                raise UnexpectedAnswerError(f"{answer.url} has changed during the transfer: read it again.")
            tag = answer.headers.get("ETag", "")
            try:
                with transport.interruptions():
                    for piece in answer.iter_raw():
                        position, failures = position + len(piece), 0
                        yield piece
                return
            except ServiceUnreachableError:
                failures += 1
                if not tag or failures > INTERRUPTIONS:
                    raise


def write_file(pieces: Iterator[bytes], file: str, path: Path) -> Path:
    """Write the whole file or nothing. An older file stays until the new one is complete."""
    target = path / file.rpartition("/")[2] if path.is_dir() else path
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with unfinished.open("wb") as opened:
            opened.writelines(pieces)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target
