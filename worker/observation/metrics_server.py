"""Serves the metrics of a worker process on a port of its own."""

import logging

from prometheus_client import CollectorRegistry, start_http_server

log = logging.getLogger(__name__)


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answers in threads until the process ends. The worker also works without its metrics.

    `port`: 0 is any free port; the log names it.
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
    log.info("the metrics of this worker are at http://%s:%d/metrics", host, server.server_port)
