"""The address of the API: who may reach it, its socket, and whether it answers."""

import http.client
import ipaddress
import socket

from app.errors import ConfigurationError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. All API processes share it in turn, so the port stays the same after a restart and
    clients wait in the meantime. Raises: ConfigurationError.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, address[1]), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {error}; try another --port."
        ) from error


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_ready(base_url: str) -> bool:
    connection = http.client.HTTPConnection(base_url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
