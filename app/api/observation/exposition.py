"""Metrics in the format that the client asks for: OpenMetrics, or the text format of Prometheus."""

import re

from fastapi import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

# prometheus_client cannot read other versions. Without a version it answers with its newest one.
INVALID_VERSION = re.compile(r";\s*version=(?!\d+(\.\d+)*\s*(;|,|$))[^;,]*")


def exposition(registry: CollectorRegistry, accept: str) -> Response:
    """`accept`: the header of the request, which may be empty."""
    encode, media_type = choose_encoder(INVALID_VERSION.sub("", accept))
    return Response(encode(registry), media_type=media_type)
