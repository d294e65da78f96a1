"""A proxy in front of a real service that injects faults into the first requests, in the order of a list."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DROP, LOSE_ANSWER, CUT = "drop", "lose the answer", "cut the answer"
CUT_BYTES = 1000  # of the content that arrive before the connection is closed


@dataclass
class Proxy:
    """`faults`: DROP, LOSE_ANSWER, CUT, or (status, Retry-After); then requests are forwarded."""

    url: str = ""
    faults: list[object] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def faulty_proxy(target: str) -> Iterator[Proxy]:
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.requests.append((self.command, self.path, dict(self.headers), body))
            fault = proxy.faults.pop(0) if proxy.faults else None
            self.close_connection = fault is not None
            if isinstance(fault, tuple):
                self._refuse(*fault)
            elif fault != DROP:
                self._forward(body, fault)

        def _refuse(self, status: int, retry_after: str | None) -> None:
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            content = (
                b'{"type": "urn:layerscope:problem:too-busy", "title": "t", "status": 503, "detail": "Busy."}'
            )
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _forward(self, body: bytes, fault: object) -> None:
            connection = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if fault == LOSE_ANSWER:
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("date", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[:CUT_BYTES] if fault == CUT else content)

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815  # names that http.server calls

        def log_message(self, format: str, *arguments: object) -> None:
            """Not on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
