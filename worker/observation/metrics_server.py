"""Serves the metrics and the health of a worker process on a port of its own."""

import logging
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

log = logging.getLogger(__name__)


def serve_metrics(registry: CollectorRegistry, host: str, port: int, is_ready: Callable[[], bool]) -> None:
    """Answers in threads until the process ends. The worker also works without its metrics.

    `port`: 0 is any free port; the log names it. `is_ready`: whether the model is loaded.
    """
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        log.warning(
            "the metrics of this worker cannot be served on %s, port %d: %s; the worker continues without; "
            "change LAYERSCOPE_WORKER_METRICS_HOST or LAYERSCOPE_WORKER_METRICS_PORT",
            *(host, port, error),
        )
        return
    server.set_app(_with_health(make_wsgi_app(registry), is_ready))
    log.info("the metrics of this worker are at http://%s:%d/metrics", host, server.server_port)


def _with_health(metrics: WSGIApplication, is_ready: Callable[[], bool]) -> WSGIApplication:
    """Like the API: `/health/live` answers while the process runs, `/health/ready` once it can measure."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/health/live":
                status, body = "200 OK", b'{"status":"live"}'
            case "/health/ready" if is_ready():
                status, body = "200 OK", b'{"status":"ready"}'
            case "/health/ready":
                status, body = "503 Service Unavailable", b'{"status":"loading"}'
            case _:
                return metrics(environ, start_response)
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer
