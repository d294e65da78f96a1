"""Receives the body of a request with a deadline, without a thread and without a transaction."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from app.disk_space import storing
from app.errors import BodyTimeout, LimitExceeded
from app.settings import KIB, MIB, Settings

IN_MEMORY_BYTES = MIB  # a larger body is written to a file
READ_BYTES = 64 * KIB

Write = Callable[[bytes], Awaitable[None]]


async def receive(
    request: Request, settings: Settings, limit: LimitExceeded, size: int, write: Write
) -> None:
    """Passes the chunks of a body to `write`.

    A body may take `body_seconds`, and one second more for every `body_bytes_per_second` that have arrived.

    Raises: BodyTimeout; `limit` if the body has more than `size` bytes.
    """
    received = 0
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        async with asyncio.timeout(settings.body_seconds) as deadline:
            async for chunk in request.stream():
                received += len(chunk)
                if received > size:
                    raise limit
                await write(chunk)
                allowed = settings.body_seconds + received / settings.body_bytes_per_second
                deadline.reschedule(started + allowed)
    except TimeoutError as error:
        raise BodyTimeout(
            f"The body did not arrive in time: only {received} bytes after {clock() - started:.0f} seconds "
            "(settings LAYERSCOPE_BODY_SECONDS and LAYERSCOPE_BODY_BYTES_PER_SECOND).",
            headers={"Connection": "close"},
        ) from error


async def received_bytes(request: Request, settings: Settings, limit: LimitExceeded, size: int) -> bytes:
    """The whole body in memory. Raises: the errors of `receive`."""
    body = bytearray()

    async def collect(chunk: bytes) -> None:
        body.extend(chunk)

    await receive(request, settings, limit, size, collect)
    return bytes(body)


@asynccontextmanager
async def spooled(
    request: Request, settings: Settings, limit: LimitExceeded, size: int, writers: CapacityLimiter
) -> AsyncIterator[IO[bytes]]:
    """The whole body as a file at its start; on disk if it is large. The file disappears at the end.

    `writers`: the threads that write bodies to disk, apart from those that work on requests.

    Raises: the errors of `receive`; DiskFull.
    """
    folder = uploads_folder(settings)
    with storing():
        folder.mkdir(parents=True, exist_ok=True)
    pending = bytearray()
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(folder)) as file:

        async def flush() -> None:
            piece = bytes(pending)
            pending.clear()
            with storing():
                await to_thread.run_sync(file.write, piece, limiter=writers)

        async def collect(chunk: bytes) -> None:
            pending.extend(chunk)
            if len(pending) >= IN_MEMORY_BYTES:
                await flush()

        await receive(request, settings, limit, size, collect)
        await flush()
        file.seek(0)
        yield file


def uploads_folder(settings: Settings) -> Path:
    """Where bodies and their files are, while their requests are served."""
    return settings.home / "uploads"


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The contents of a file, READ_BYTES at a time."""
    while piece := file.read(READ_BYTES):
        yield piece
