"""Stands between a client and an API server, with TLS on both sides, and counts the requests that pass."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.counting_proxy import BACKLOG, Connected, Proxy

if TYPE_CHECKING:
    from benchmarks.kubernetes_clusters import Place

_LOOPBACK = "127.0.0.1"
_GONE = json.dumps({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"})


class ApiProxy(Proxy):
    """Has the API server's own certificate, so that clients take it for that.

    Args:
        place: Where it leads to.
        storm_seconds: For so long after a Job is made, every watch is answered with 410 (Gone), and those that were
            open before are cut.

    Attributes:
        stormy: The first lines of the requests that have come meanwhile.
        port: Where it listens, once it does.
    """

    def __init__(self, place: Place, *, storm_seconds: float = 0.0) -> None:
        super().__init__()
        self._server = urlsplit(place.address)
        self._certificate = (place.certificate, place.key)
        self._authority = place.authority
        self._storm_seconds = storm_seconds
        self._storm_end: float | None = None
        self._watching: set[asyncio.StreamWriter] = set()
        self.stormy: list[str] = []
        self.port = 0

    @property
    def address(self) -> str:
        """Its URL."""
        return f"https://{_LOOPBACK}:{self.port}"

    async def _listen(self, connected: Connected) -> asyncio.Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate)
        server = await asyncio.start_server(connected, _LOOPBACK, 0, ssl=context, backlog=BACKLOG)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.create_default_context(cafile=self._authority)
        return await asyncio.open_connection(self._server.hostname, self._server.port, ssl=context)

    def _answer(self, line: str, client: asyncio.StreamWriter) -> bytes | None:
        is_watch = "watch=" in line
        if self._is_stormy():
            self.stormy.append(line)
            return _gone() if is_watch else None
        if is_watch:
            self._watching.add(client)
        elif self._storm_seconds and self._storm_end is None and re.match(r"POST \S+/jobs[ ?]", line):
            self._begin_storm()
        return None

    def _is_stormy(self) -> bool:
        return self._storm_end is not None and time.monotonic() < self._storm_end

    def _begin_storm(self) -> None:
        self._storm_end = time.monotonic() + self._storm_seconds
        for client in self._watching:
            client.transport.abort()


def _gone() -> bytes:
    head = f"HTTP/1.1 410 Gone\r\nContent-Type: application/json\r\nContent-Length: {len(_GONE)}\r\n\r\n"
    return f"{head}{_GONE}".encode()
