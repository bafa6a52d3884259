"""A proxy between a client and an API server: it counts what passes, and cuts, stalls and answers on command."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.cluster import Cluster

_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/\S*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Passed:
    """One request that came: its line, such as `GET /api/v1/namespaces/x/pods?watch=true`, decoded, and when."""

    line: str
    at: float


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: ssl.SSLSocket
    request: str = ""
    lose_answer: bool = False
    silent: bool = False
    left: int | None = None

    def cut(self) -> None:
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                # The method of a TLS socket would take the session away from the thread that reads.
                socket.socket.shutdown(side, socket.SHUT_RDWR)


@dataclass
class ApiProxy:
    """Speaks HTTP without TLS to its clients, and passes everything on, until it is told otherwise.

    Patterns are searched in the lines of `requests`. `kubeconfig_for(name, server=proxy.url)` of a cluster makes a
    kubeconfig that leads here; its user needs a token, as a certificate does not pass.

    Attributes:
        cluster: Where it leads to.
        requests: All requests so far.
        most_open: The most connections that were open at once.
        refused: How many connections were not let in.
    """

    cluster: Cluster
    requests: list[Passed] = field(default_factory=list)
    most_open: int = 0
    refused: int = 0
    _port: int = 0
    _answers: list[tuple[str, bytes, list[int]]] = field(default_factory=list)
    _lose: list[str] = field(default_factory=list)
    _hold: list[str] = field(default_factory=list)
    _cut_after: list[tuple[str, list[int]]] = field(default_factory=list)
    _refusing: bool = False
    _open: set[_Connection] = field(default_factory=set)
    _lock: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_now(self) -> list[str]:
        """The last requests of the connections that are open now."""
        with self._lock:
            return [connection.request for connection in self._open]

    def lines(self, pattern: str = "") -> list[str]:
        """Give the requests so far that match."""
        return [request.line for request in list(self.requests) if re.search(pattern, request.line)]

    def wait_for(self, pattern: str, count: int) -> None:
        """Wait until so many requests that match have come."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.lines(pattern)) >= count, WAIT_SECONDS):
                raise AssertionError(f"only {self.lines(pattern)} came in {WAIT_SECONDS} seconds")

    def wait_for_refused(self, count: int) -> None:
        """Wait until so many connections were not let in."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.refused >= count, WAIT_SECONDS):
                raise AssertionError(f"only {self.refused} connections came in {WAIT_SECONDS} seconds")

    def answer(
        self, pattern: str, status: int, *, times: int = 1, reason: str = "", retry_after: int | None = None
    ) -> None:
        """Answer the next requests that match in the server's place, and do not pass them on."""
        message = f"the proxy was told to answer {status}"
        body = json.dumps({"kind": "Status", "code": status, "reason": reason, "message": message}).encode()
        header = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
        head = (
            f"HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\n{header}Content-Length: {len(body)}\r\n\r\n"
        )
        self._answers.append((pattern, head.encode() + body, [times]))

    def lose_answer(self, pattern: str) -> None:
        """Pass the next request that matches on, and cut the connection in place of the answer."""
        self._lose.append(pattern)

    def hold_answer(self, pattern: str) -> None:
        """Keep the answer to the next request that matches from the client, who waits."""
        self._hold.append(pattern)

    def cut_after(self, pattern: str, *sizes: int) -> None:
        """Cut the connections after so many bytes of the answers to the next requests that match."""
        with self._lock:
            self._cut_after.append((pattern, list(sizes)))

    def cut(self, pattern: str = "") -> int:
        """Cut all open connections whose last request matches."""
        chosen = self._matching(pattern)
        for connection in chosen:
            connection.cut()
        return len(chosen)

    def stall(self, pattern: str = "") -> int:
        """Pass nothing more on to the client on the open connections whose last request matches; it is not told."""
        chosen = self._matching(pattern)
        for connection in chosen:
            connection.silent = True
        return len(chosen)

    def refuse(self) -> None:
        """Cut all connections and let no new one in, as if the API server were gone, until `accept`."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Let connections in again."""
        self._refusing = False

    def forget(self) -> None:
        """Do nothing more of what was told for requests to come."""
        for told in (self._answers, self._lose, self._hold, self._cut_after):
            told.clear()

    @contextlib.contextmanager
    def serving(self) -> Iterator[ApiProxy]:
        """Listen, until the block ends."""
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self._port = listener.getsockname()[1]
            thread = threading.Thread(target=self._accept_all, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                self.cut()
                with self._lock:
                    self._lock.wait_for(lambda: not self._open, WAIT_SECONDS)

    def _matching(self, pattern: str) -> list[_Connection]:
        with self._lock:
            return [connection for connection in self._open if re.search(pattern, connection.request)]

    def _accept_all(self, listener: socket.socket) -> None:
        context = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        address = urlsplit(self.cluster.address)
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                with self._lock:
                    self.refused += 1
                    self._lock.notify_all()
                continue
            try:
                plain = socket.create_connection((address.hostname, address.port or 443))
                server = context.wrap_socket(plain, server_hostname=address.hostname)
            except OSError:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(client, server)
            with self._lock:
                self._open.add(connection)
                self.most_open = max(self.most_open, len(self._open))
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: _Connection) -> None:
        """Copy both ways until either side ends; in one thread, as a TLS session is not for two."""
        client, server = connection.client, connection.server
        with contextlib.suppress(OSError, ValueError):
            while True:
                ready = [server] if server.pending() else select.select([client, server], [], [])[0]
                if client in ready and not self._pass_request(connection, client.recv(_CHUNK)):
                    break
                if server in ready and not _pass_answer(connection):
                    break
        connection.cut()
        client.close()
        server.close()
        with self._lock:
            self._open.discard(connection)
            self._lock.notify_all()

    def _pass_request(self, connection: _Connection, data: bytes) -> bool:
        if match := _REQUEST.match(data):
            answer = self._note(connection, f"{match[1].decode()} {unquote(match[2].decode())}")
            if answer is not None:
                _read_rest(connection.client, data)
                connection.client.sendall(answer)
                return True
        connection.server.sendall(data)
        return bool(data)

    def _note(self, connection: _Connection, line: str) -> bytes | None:
        """Note a request and what is to become of its answer; give the answer if it is not to be passed on."""
        with self._lock:
            self.requests.append(Passed(line, time.monotonic()))
            connection.request = line
            self._lock.notify_all()
            for pattern, answer, times in self._answers:
                if times[0] > 0 and re.search(pattern, line):
                    times[0] -= 1
                    return answer
            connection.lose_answer = _take(self._lose, line)
            connection.silent = _take(self._hold, line)
            connection.left = self._size_of_answer(line)
        return None

    def _size_of_answer(self, line: str) -> int | None:
        """Say after how many bytes to cut; what was told several times for the same request counts once."""
        told = [sizes for pattern, sizes in self._cut_after if re.search(pattern, line)]
        if not told:
            return None
        first = told[0]
        size = first.pop(0)
        self._cut_after = [one for one in self._cut_after if (one[1] is first and first) or one[1] not in told]
        return size


def _pass_answer(connection: _Connection) -> bool:
    connection.server.settimeout(0)
    try:
        data = connection.server.recv(_CHUNK)
    except ssl.SSLWantReadError:  # it was a message of TLS itself
        return True
    finally:
        connection.server.settimeout(None)
    if connection.lose_answer:
        return False
    if connection.silent:
        return bool(data)
    if connection.left is not None:
        data = data[: connection.left]
        connection.left -= len(data)
    connection.client.sendall(data)
    return bool(data) and connection.left != 0


def _take(patterns: list[str], line: str) -> bool:
    for pattern in patterns:
        if re.search(pattern, line):
            patterns.remove(pattern)
            return True
    return False


def _read_rest(client: socket.socket, begun: bytes) -> None:
    """Read the body of a request that is not passed on."""
    head, _, body = begun.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        missing -= len(client.recv(missing))
