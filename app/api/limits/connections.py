"""Limits the connections of the server: their number, and the time that a request header may take.

uvicorn has no such limits: idle connections would use up the file descriptors of the process, and then no
other client could connect.
"""

import asyncio
import sys
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from app.settings import Settings

if sys.platform != "win32":
    import resource

RESERVED_FILES = 200  # descriptors for the database, files, uploads, and one backlog
# asyncio accepts this number of new connections before it looks at the limit.
BACKLOG = 100

# Of each server, the connections without a request in progress, the one that has waited longest first.
_waiting: WeakKeyDictionary[Any, dict["LimitedProtocol", None]] = WeakKeyDictionary()


def limited_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """The class of connections for the option `http` of uvicorn."""
    limits = {"limit": _connections(settings.connections_limit), "seconds": settings.header_seconds}
    return type("ConfiguredProtocol", (LimitedProtocol,), limits)


def _connections(limit: int) -> int:
    """The limit, or less if the process may not open that many files."""
    if sys.platform == "win32":  # it has no such limit
        return limit
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(limit, max(1, files - RESERVED_FILES))


class LimitedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen when uvicorn is imported
    """A connection of uvicorn that is closed if it sends no whole header in time, or if it is one too many.

    `server_state` and `cycle` are not documented by uvicorn; test_slow_clients.py fails if they change.
    """

    limit: int
    seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._wait()
        if len(self.server_state.connections) > self.limit:
            next(iter(self._others))._close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_busy():
            self._stop_waiting()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _others(self) -> dict["LimitedProtocol", None]:
        return _waiting.setdefault(self.server_state, {})

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._others[self] = None
        self._deadline = self.loop.call_later(self.seconds, self._close)

    def _close(self) -> None:
        self._stop_waiting()
        self.transport.abort()

    def _stop_waiting(self) -> None:
        self._others.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
