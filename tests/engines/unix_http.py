"""Ask an engine something over its unix socket, without the SDK.

The SDK leaves its socket to the garbage collector when it cannot connect, which is what happens while an engine starts:
every try would end as a ResourceWarning in a test that makes warnings errors.
"""

import http.client
import socket
from pathlib import Path

from tests.engines.limits import PATIENCE


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(path: Path, target: str, timeout: float = PATIENCE) -> bytes | None:
    """Return what is at a target; None if nobody answers, or answers with an error."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    else:
        return body if response.status == http.HTTPStatus.OK else None
    finally:
        connection.close()
