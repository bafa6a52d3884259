"""The API as fake nodes use it: from many threads, each with a connection of its own, and as long as it takes."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engines.cluster_api import ClusterApi
from tests.engines.limits import PATIENCE


@dataclass(frozen=True)
class FakeApi:
    """Requests of fake nodes.

    Args:
        api: Where the API is, and as whom.
    """

    api: ClusterApi
    _threads: threading.local = field(default_factory=threading.local)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Send one request, again and again while nobody answers, and return status and answer.

        Raises:
            OSError: Nobody answers for so long that the API server is not coming back.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._send_once(method, path, body)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def watch(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return what is in a list and what changes in it, over and over, as type and object; never ends by itself.

        Args:
            path: The list, with a query.
        """
        while True:
            try:
                yield from self._watch_once(path)
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)

    def _send_once(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self.api.connect(30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self.api.headers(method))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except BaseException:
            connection.close()  # the next request connects again
            raise

    def _watch_once(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        status, answer = self.send("GET", path)
        if status != http.HTTPStatus.OK:
            raise OSError(f"{path}: {answer}")
        for item in answer["items"]:
            yield "ADDED", item
        version = answer["metadata"]["resourceVersion"]
        del answer
        connection = self.api.connect(600)
        try:
            connection.request("GET", f"{path}&watch=1&resourceVersion={version}", headers=self.api.headers("GET"))
            response = connection.getresponse()
            while line := response.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
        finally:
            connection.close()
