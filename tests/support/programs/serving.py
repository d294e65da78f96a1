"""Runs a real uvicorn in a thread."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from app.api.limits.connections import limited_protocol
from app.main import create_app
from app.settings import Settings

# For clients without TLS: each client that reads the certificates of the machine takes 50 ms of CPU time.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            http=limited_protocol(settings),
            port=0,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
