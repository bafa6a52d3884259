"""A proxy between the SDK and an engine: it counts what passes, loses answers and cuts streams."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REQUEST = re.compile(rb"^(GET|POST|PUT|DELETE|HEAD) (?:/v[\d.]+)?(/\S*) HTTP/1\.1\r\n")


def _answer(status: int, connection: str) -> bytes:
    head = f"HTTP/1.1 {status} Told\r\nContent-Length: 27\r\nConnection: {connection}\r\n\r\n"
    return f'{head}{{"message": "told to fail"}}'.encode()


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    engine: socket.socket
    request: str = ""
    lose_answer: bool = False
    silent: bool = False
    headers_only: bool = False
    instead: bytes = b""

    def cut(self) -> None:
        for side in (self.client, self.engine):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@dataclass
class FaultProxy:
    """Passes everything on, and notes it, until it is told otherwise.

    Attributes:
        path: The socket to connect to.
        target: The engine's socket.
        requests: All requests so far, such as `POST /containers/create?name=x`.
        most_open: The most connections that were open at once.
    """

    path: Path
    target: Path
    requests: list[str] = field(default_factory=list)
    most_open: int = 0
    _lose: list[str] = field(default_factory=list)
    _hold: list[str] = field(default_factory=list)
    _hold_body: list[str] = field(default_factory=list)
    _fail: list[str] = field(default_factory=list)
    _replace: list[tuple[str, int]] = field(default_factory=list)
    _refusing: bool = False
    _open: set[_Connection] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def docker_host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self.path}"

    @property
    def open_now(self) -> list[str]:
        """The last requests of the connections that are open now."""
        with self._lock:
            return [connection.request for connection in self._open]

    def count(self, pattern: str) -> int:
        """Say how many requests so far match."""
        return sum(re.search(pattern, request) is not None for request in self.requests)

    def lose_answer(self, pattern: str) -> None:
        """Cut the connection in place of passing on the answer to the next request that matches."""
        self._lose.append(pattern)

    def replace_answer(self, pattern: str, status: int) -> None:
        """Say something else in place of the engine's answer to the next request that matches, when that has come."""
        self._replace.append((pattern, status))

    def hold_answer(self, pattern: str) -> None:
        """Keep the answer to the next request that matches from the client, who is not told: it waits."""
        self._hold.append(pattern)

    def hold_body(self, pattern: str) -> None:
        """Pass on only the headers of the answer to the next request that matches."""
        self._hold_body.append(pattern)

    def fail(self, pattern: str) -> None:
        """Answer every request that matches with 500, in the engine's place."""
        self._fail.append(pattern)

    def refuse(self) -> None:
        """Cut all connections and let no new one in, as if the engine were gone."""
        self._refusing = True
        self.cut("")

    def cut(self, pattern: str) -> int:
        """Cut all open connections whose last request matches."""
        with self._lock:
            chosen = [connection for connection in self._open if re.search(pattern, connection.request)]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    @contextlib.contextmanager
    def serving(self) -> Iterator[FaultProxy]:
        """Listen, until the block ends."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(512)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        try:
            yield self
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.path.unlink(missing_ok=True)
            self.cut("")

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            engine = socket.socket(socket.AF_UNIX)
            try:
                engine.connect(str(self.target))
            except OSError:
                client.close()
                engine.close()
                continue
            connection = _Connection(client, engine)
            with self._lock:
                self._open.add(connection)
                self.most_open = max(self.most_open, len(self._open))
            threading.Thread(target=self._forward, args=(connection,), daemon=True).start()
            threading.Thread(target=self._back, args=(connection,), daemon=True).start()

    def _forward(self, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while data := connection.client.recv(1 << 18):
                if match := _REQUEST.match(data):
                    request = f"{match[1].decode()} {match[2].decode()}"
                    self._note(connection, request)
                    if any(re.search(pattern, request) for pattern in self._fail):
                        connection.client.sendall(_answer(500, "keep-alive"))
                        continue
                connection.engine.sendall(data)
            connection.engine.shutdown(socket.SHUT_WR)

    def _note(self, connection: _Connection, request: str) -> None:
        with self._lock:
            self.requests.append(request)
            connection.request = request
            connection.lose_answer = self._take(self._lose, request)
            connection.silent = self._take(self._hold, request)
            connection.headers_only = self._take(self._hold_body, request)
            for pattern, status in self._replace:
                if re.search(pattern, request):
                    self._replace.remove((pattern, status))
                    connection.instead = _answer(status, "close")
                    break

    @staticmethod
    def _take(patterns: list[str], request: str) -> bool:
        for pattern in patterns:
            if re.search(pattern, request):
                patterns.remove(pattern)
                return True
        return False

    def _back(self, connection: _Connection) -> None:
        with contextlib.suppress(OSError):
            while data := connection.engine.recv(1 << 18):
                if connection.lose_answer:
                    break
                if connection.instead:
                    connection.client.sendall(connection.instead)
                    break
                if connection.headers_only and not connection.silent:
                    connection.silent = True
                    connection.client.sendall(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                elif not connection.silent:
                    connection.client.sendall(data)
        connection.cut()
        with self._lock:
            self._open.discard(connection)
        connection.client.close()
        connection.engine.close()
