"""Names and addresses of hosts, and the address of the service."""

import ipaddress

SERVER_VARIABLE = "LAYERSCOPE_SERVER"
DEFAULT_SERVER = "http://127.0.0.1:8000"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine alone: `localhost`, 127.0.0.0/8, or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
