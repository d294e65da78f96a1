"""Limits the connections of the server: their number, and the time and size of a request header.

uvicorn has no such limits: idle connections would use up the file descriptors of the process, and then no
other client could connect.
"""

import asyncio
import math
import sys
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.limits.refusals import header_too_large, header_too_slow, not_http
from app.settings import KIB, Settings

if sys.platform != "win32":
    import resource

RESERVED_FILES = 200  # descriptors for the database, the servers, and one backlog
FILES_PER_CONNECTION = 2  # a response or a body may use a file
# asyncio accepts this number of new connections before it looks at the limit.
BACKLOG = 100
HEADER_LIMIT_BYTES = 64 * KIB  # request line and headers
FREE_TENTHS_FOR_HEALTH, FREE_TENTHS_FOR_REQUESTS = 1, 2  # of the connections

# Of each server, its connections; the one that has been inactive the longest first.
_by_activity: WeakKeyDictionary[Any, dict["LimitedProtocol", None]] = WeakKeyDictionary()


def allow_files(settings: Settings) -> None:
    """Lets this process open as many files as its connections may need, if the system permits it."""
    if sys.platform == "win32":
        return
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = RESERVED_FILES + FILES_PER_CONNECTION * settings.connections_limit
    if files != resource.RLIM_INFINITY and files < wanted:
        permitted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (permitted, most))


def limited_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """The class of connections for the option `http` of uvicorn."""
    limits = {"limit": _connections(settings.connections_limit), "seconds": settings.header_seconds}
    return type("ConfiguredProtocol", (LimitedProtocol,), limits)


def requests_in_progress(settings: Settings) -> int:
    """How many requests may be in progress, so that health checks can still connect."""
    return _without(FREE_TENTHS_FOR_HEALTH, settings)


def waiting_clients(settings: Settings) -> int:
    """How many clients may wait for jobs, so that other requests are still possible."""
    return min(settings.waiting_limit, _without(FREE_TENTHS_FOR_REQUESTS, settings))


def _without(tenths: int, settings: Settings) -> int:
    connections = _connections(settings.connections_limit)
    return max(1, connections - connections * tenths // 10)


def _connections(limit: int) -> int:
    """The limit, or less if the process may not open that many files."""
    if sys.platform == "win32":  # it has no such limit
        return limit
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(limit, max(1, (files - RESERVED_FILES) // FILES_PER_CONNECTION))


class LimitedProtocol(HttpToolsProtocol):
    """A connection of uvicorn that is closed if it sends no whole header in time, or too large a one.

    If there are too many, the one that has kept the service waiting the longest is closed: for a request, for
    the rest of a body, or until it reads a response. `server_state`, `cycle`, `flow` and
    `timeout_keep_alive` are not documented by uvicorn; test_slow_clients.py fails if they change.
    """

    limit: int
    seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self.timeout_keep_alive = math.ceil(self.seconds)  # until the next request
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes: int | None = None  # of a header that has begun
        self._wait_for_header()
        self._note_activity()
        if len(self.server_state.connections) > self.limit:
            next(one for one in self._connected if one._waits_for_client())._close()

    def data_received(self, data: bytes) -> None:
        self._note_activity()
        super().data_received(data)
        if self._is_busy():
            self._end_deadline()
        elif self._deadline is None:
            self._wait_for_header()
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_LIMIT_BYTES:
                self._refuse(header_too_large(HEADER_LIMIT_BYTES))

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(not_http())

    def resume_writing(self) -> None:
        self._note_activity()
        super().resume_writing()

    def on_response_complete(self) -> None:
        self._note_activity()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    @property
    def _connected(self) -> dict["LimitedProtocol", None]:
        return _by_activity.setdefault(self.server_state, {})

    def _note_activity(self) -> None:
        if self in self.server_state.connections:  # a response may end after its connection
            self._connected.pop(self, None)
            self._connected[self] = None

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _waits_for_client(self) -> bool:
        return not self._is_busy() or self.cycle.more_body or self.flow.write_paused

    def _wait_for_header(self) -> None:
        self._deadline = self.loop.call_later(self.seconds, self._end_waiting)

    def _end_waiting(self) -> None:
        if self._header_bytes is None:  # nothing of a request has arrived
            self._close()
        else:
            self._refuse(header_too_slow(self.seconds))

    def _refuse(self, response: bytes) -> None:
        is_responding = self._is_busy() and self.cycle.response_started
        if not is_responding:  # otherwise it would be read as a part of that response
            self.transport.write(response)
        self.transport.close()

    def _close(self) -> None:
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        self._connected.pop(self, None)
        self._end_deadline()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
