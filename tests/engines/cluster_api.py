"""Ask a cluster's API something with nothing but HTTP, so that a test's view does not depend on what it tests."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines.errors import EngineError
from tests.engines.limits import PATIENCE

_PATCH = "application/merge-patch+json"


class ApiRefused(EngineError):
    """The API answered with an error.

    Args:
        status: The HTTP status.
        text: The request, and what was answered.
        body: The answer.
    """

    def __init__(self, status: int, text: str, body: bytes) -> None:
        super().__init__(text)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class ClusterApi:
    """The API server, as one user sees it.

    Args:
        host: Its address.
        port: Its port.
        ca_file: The certificate of its authority.
        token: The user's token.
    """

    host: str
    port: int
    ca_file: Path
    token: str

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """Return the answer to one request; a PATCH is a JSON merge patch.

        Raises:
            ApiRefused: The answer is an error.
            OSError: Nobody answers.
        """
        answer: dict[str, Any] = json.loads(self.text(method, path, body, timeout=timeout))
        return answer

    def text(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = PATIENCE) -> str:
        """Return the answer to one request as it is, for instance a log.

        Raises:
            ApiRefused: The answer is an error.
            OSError: Nobody answers.
        """
        connection = self.connect(timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self.headers(method))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiRefused(response.status, f"{method} {path}: {response.status} {content[:500]!r}", content)
        return content.decode()

    def headers(self, method: str) -> dict[str, str]:
        """Return the headers of a request."""
        content = _PATCH if method == "PATCH" else "application/json"
        return {"Content-Type": content, "Authorization": f"Bearer {self.token}"}

    def connect(self, timeout: float) -> http.client.HTTPSConnection:
        """Return a new connection, which connects at its first request; the caller closes it."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
