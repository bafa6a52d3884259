"""The machine's loopback address, on which all servers of the tests listen."""

import http.client
import socket

from tests.engines.limits import PATIENCE

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a program could listen on a port of the loopback address now."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str, status: int) -> bool:
    """Tell whether an HTTP server on a port of the loopback address answers a request with a status."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
