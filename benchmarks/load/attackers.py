"""Clients that occupy the service: each attack lasts until its context ends."""

import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from urllib.parse import urlsplit

from benchmarks.load.busy_service import BusyService

LARGEST_DOCUMENT = b'{"texts": [' + b'"ab",' * 899_999 + b'"ab"]}'
PLOTS = (
    "mean_std",
    "abs_mean_abs_std",
    "abs_mean_std",
    "variance_ranking",
    "relative",
    "components",
    "heatmap",
)

Attack = Callable[[BusyService], AbstractContextManager[None]]
Send = Callable[[BusyService, int], object]  # the request of the client with this number


def post_head(kind: str, length: int = 1_000_000) -> bytes:
    query = "?model=bench" if kind == "application/x-ndjson" else ""
    return (
        f"POST /v1/jobs{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


@contextmanager
def connections(count: int, sent: bytes, busy: BusyService) -> Iterator[None]:
    """Clients that send this and then nothing more."""
    address = urlsplit(busy.url)
    with ExitStack() as stack:
        for _ in range(count):
            target = (address.hostname or "", address.port or 0)
            connection = stack.enter_context(socket.create_connection(target, timeout=20))
            with suppress(ConnectionError):  # it may be closed already, to make room for others
                connection.sendall(sent)
        yield


def waiting_clients(count: int, suffix: str, busy: BusyService) -> AbstractContextManager[None]:
    """Clients that wait for the running job."""
    request = f"GET /v1/jobs/{busy.running}{suffix} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return connections(count, request.encode(), busy)


@contextmanager
def requests(count: int, send: Send, busy: BusyService) -> Iterator[None]:
    """Clients that send one request each and wait for its response."""
    with ThreadPoolExecutor(count) as pool:
        for number in range(count):
            pool.submit(send, busy, number)
        yield


def plot(busy: BusyService, number: int) -> None:
    name, kind = PLOTS[number % len(PLOTS)], "png" if number % 2 else "svg"
    busy.client.get(f"{busy.url}/v1/jobs/{busy.finished}/plots/{name}.{kind}")


def document(busy: BusyService, number: int) -> None:
    headers = {"Content-Type": "application/json"}
    busy.client.post(f"{busy.url}/v1/jobs", content=LARGEST_DOCUMENT, headers=headers)


def nothing(busy: BusyService) -> AbstractContextManager[None]:
    return nullcontext()


ATTACKS: Mapping[str, Attack] = {
    "none": nothing,
    "45 uploads that stall": partial(connections, 45, post_head("application/x-ndjson") + b'{"text": "a"}\n'),
    "300 half headers": partial(connections, 300, b"GET / HTTP/1.1\r\nHost: loc"),
    "300 half JSON bodies": partial(connections, 300, post_head("application/json") + b'{"te'),
    "1,100 idle connections": partial(connections, 1_100, b""),
    "54 plots at once": partial(requests, 54, plot),
    "3 JSON bodies with 900,000 values each": partial(requests, 3, document),
    "500 clients that wait for a job": partial(waiting_clients, 500, "?wait=60"),
    "500 event streams": partial(waiting_clients, 500, "/events"),
}
