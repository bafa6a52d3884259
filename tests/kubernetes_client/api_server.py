"""A small API server: it keeps Jobs and pods, lists and watches them as the real one, and fails on command."""

from __future__ import annotations

import json
import re
import select
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN_LABEL = "infrablocks.io/run-id"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


@dataclass
class Request:
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None
    certificate: str = ""
    at: float = field(default_factory=time.monotonic)
    header_lines: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        """Such as `WATCH /api/v1/namespaces/default/pods`: what faults are matched with."""
        method = "WATCH" if "watch" in self.query else self.method
        return f"{method} {self.path}"


@dataclass
class Answer:
    """What to answer in place of what is asked for."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def status(code: int, reason: str, message: str, **details: Any) -> Answer:
    """Give an answer that says no, as the API words it."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return Answer(code, {**body, "details": details} if details else body)


@dataclass
class _Fault:
    pattern: str
    answer: Callable[[Request], object]
    times: int


class ApiServer:
    """The server. Everything may be called from the thread of the test.

    Attributes:
        requests: All that came in, in order.
        most_open: The most connections that were open at once.
        all_opened: How many connections were made in all.
    """

    def __init__(self, certificates: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.most_open = 0
        self.all_opened = 0
        self._lock = threading.Condition()  # may be taken again by who has it
        self._version = 100
        self._oldest = 0
        self._objects: dict[str, dict[str, Any]] = {JOBS: {}, PODS: {}}
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._faults: list[_Fault] = []
        self._open: set[socket.socket] = set()
        self._watching: dict[socket.socket, str] = {}
        self._stalled = False
        self._server = _Server(self, certificates)
        scheme = "https" if certificates else "http"
        self.address = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[ApiServer]:
        """Listen, until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self.cut("")
            self._server.server_close()

    # What there is.

    def put(self, path: str, name: str, run_id: str, *, uid: str = "", **parts: Any) -> dict[str, Any]:
        """Make an object or replace it, and tell those who watch. Its uid is made of its name, unless one is given."""
        with self._lock:
            known = self._objects[path].get(name)
            self._version += 1
            metadata = {
                "name": name,
                "namespace": "default",
                "uid": uid or f"uid-{name}",
                "resourceVersion": str(self._version),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {RUN_LABEL: run_id, "more": "than is kept"},
                "managedFields": [{"manager": "test"}],
            }
            item = {"metadata": metadata, **parts}
            self._objects[path][name] = item
            self._tell(path, "MODIFIED" if known else "ADDED", item)
            return item

    def delete(self, path: str, name: str, *, quietly: bool = False) -> None:
        """Take an object away. Quietly: the event is lost, as after a time that nobody watched."""
        with self._lock:
            item = self._objects[path].pop(name)
            self._version += 1
            if not quietly:
                gone = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
                self._tell(path, "DELETED", gone)

    def deleted(self, path: str, name: str, body: Any) -> Answer:
        """Take an object away as a request asks for, whose precondition must hold."""
        with self._lock:
            item = self._objects[path].get(name)
            wanted = ((body or {}).get("preconditions") or {}).get("uid")
            if item is None:
                return status(404, "NotFound", f'"{name}" not found')
            if wanted not in {None, item["metadata"]["uid"]}:
                return status(409, "Conflict", f'Precondition failed: UID in precondition: {wanted}, "{name}" differs')
            self.delete(path, name)
            return Answer(200, {"kind": "Status", "status": "Success"})

    def named(self, path: str, name: str) -> Answer:
        """Give one object."""
        with self._lock:
            item = self._objects[path].get(name)
            return status(404, "NotFound", f'"{name}" not found') if item is None else Answer(200, item)

    def bookmark(self, path: str) -> None:
        """Send a bookmark to those who watch."""
        with self._lock:
            self._version += 1
            self._tell(path, "BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}})

    def compact(self) -> None:
        """Forget all versions so far: who wants to watch from one of them gets 410."""
        with self._lock:
            self._version += 1
            self._oldest = self._version

    def _tell(self, path: str, kind: str, item: dict[str, Any]) -> None:
        self._history.append((self._version, path, {"type": kind, "object": item}))
        self._lock.notify_all()

    # What goes wrong.

    def answer(self, pattern: str, answer: Answer | Callable[[Request], object], *, times: int = 1) -> None:
        """Answer the next requests that match in another way; what a function gives that is no answer is left out."""
        given: Callable[[Request], object] = answer if callable(answer) else lambda _: answer
        self._faults.append(_Fault(pattern, given, times))

    def cut(self, pattern: str, *, last_words: bytes = b"") -> int:
        """Cut the connections whose last request matches; those of watches may get some bytes before."""
        with self._lock:
            chosen = [one for one in self._open if re.search(pattern, self._watching.get(one, ""))]
        for connection in chosen:
            try:
                if last_words:
                    connection.sendall(f"{len(last_words):x}\r\n".encode() + last_words + b"\r\n")
                connection.shutdown(2)
            except OSError:
                pass
        return len(chosen)

    def stall(self) -> None:
        """Send nothing more on the watches that are open now and answer no more lists, until `go_on`."""
        self._stalled = True

    def go_on(self) -> None:
        """End `stall`."""
        with self._lock:
            self._stalled = False
            self._lock.notify_all()

    # What has happened.

    def lines(self, pattern: str = "") -> list[str]:
        """Give the requests so far that match."""
        return [request.line for request in list(self.requests) if re.search(pattern, request.line)]

    def wait_for(self, pattern: str, count: int) -> None:
        """Wait until so many requests that match have come in."""
        with self._lock:
            enough = self._lock.wait_for(lambda: len(self.lines(pattern)) >= count, WAIT_SECONDS)
            assert enough, f"only {self.lines(pattern)} came in {WAIT_SECONDS} seconds"

    @property
    def open_now(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def wait_until_closed(self, *, but_for: int = 0) -> None:
        """Wait until no connection is left, or so many."""
        with self._lock:
            assert self._lock.wait_for(lambda: len(self._open) <= but_for, WAIT_SECONDS)

    # For the connections.

    def opened(self, connection: socket.socket) -> None:
        """Note a connection."""
        with self._lock:
            self._open.add(connection)
            self.all_opened += 1
            self.most_open = max(self.most_open, len(self._open))

    def closed(self, connection: socket.socket) -> None:
        """Note its end."""
        with self._lock:
            self._open.discard(connection)
            self._watching.pop(connection, None)
            self._lock.notify_all()

    def note(self, connection: socket.socket, request: Request) -> Answer | None:
        """Note a request, and give what a fault has to say to it."""
        with self._lock:
            self.requests.append(request)
            self._watching[connection] = request.line
            self._lock.notify_all()
            fault = next((one for one in self._faults if one.times and re.search(one.pattern, request.line)), None)
            if fault is None:
                return None
            fault.times -= 1
        answer = fault.answer(request)
        return answer if isinstance(answer, Answer) else None

    def listed(self, request: Request) -> Answer:
        """Give a page of a list."""
        with self._lock:
            while self._stalled:
                self._lock.wait(0.1)
            wanted = re.search(r" in \((.*)\)", request.query.get("labelSelector", ""))
            wanted = wanted or re.search(r"=(.*)", request.query.get("labelSelector", ""))
            ids = wanted[1].split(",") if wanted else None
            items = [
                item
                for item in self._objects[request.path].values()
                if ids is None or item["metadata"]["labels"][RUN_LABEL] in ids
            ]
            begin, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 10**6))
            metadata = {"resourceVersion": str(self._version)}
            if len(items) > begin + limit:
                metadata["continue"] = str(begin + limit)
            return Answer(200, {"kind": "List", "metadata": metadata, "items": items[begin : begin + limit]})

    def events(self, request: Request, connection: socket.socket) -> Iterator[bytes]:
        """Give what happens, one line each, until the connection is cut."""
        version = int(request.query["resourceVersion"])
        with self._lock:
            if version < self._oldest:
                return iter([_line({"type": "ERROR", "object": status(410, "Expired", "too old").body})])
        return self._events_since(version, request, connection)

    def _events_since(self, version: int, request: Request, connection: socket.socket) -> Iterator[bytes]:
        while True:
            with self._lock:
                if connection not in self._open or select.select([connection], [], [], 0)[0]:
                    return  # a client has nothing more to say: it has closed its side
                new = [] if self._stalled else [one for one in self._history if one[0] > version]
                if not new:
                    self._lock.wait(0.02)
                    continue
            for number, path, event in new:
                version = number
                if path == request.path:
                    yield _line(event)


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, api: ApiServer, certificates: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.context: ssl.SSLContext | None = None
        if certificates is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
            self.context.load_verify_locations(certificates / "ca.pem")
            self.context.verify_mode = ssl.CERT_OPTIONAL

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections are cut on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.api.opened(self.connection)

    def finish(self) -> None:
        self.server.api.closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        """Say nothing."""

    def handle_request(self) -> None:
        """Answer."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        certificate: dict[str, Any] = getattr(self.connection, "getpeercert", dict)() or {}
        subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
        headers = {name.lower(): value for name, value in self.headers.items()}
        name = subject.get("commonName", "")
        lines = tuple(self.headers.items())  # a name may be there several times
        request = Request(self.command, parts.path, query, headers, body, name, header_lines=lines)
        answer = self.server.api.note(self.connection, request)
        if answer is not None:
            self._send(answer)
        elif "watch" in query:
            self._send_events(request)
        elif self.command == "GET" and parts.path in (JOBS, PODS):
            self._send(self.server.api.listed(request))
        elif self.command in {"GET", "DELETE"} and parts.path.rpartition("/")[0] in (JOBS, PODS):
            path, _, name = parts.path.rpartition("/")
            api = self.server.api
            self._send(api.named(path, name) if self.command == "GET" else api.deleted(path, name, body))
        else:
            self._send(Answer(200, {"kind": "Echo", "method": self.command, "body": body, "query": query}))

    do_GET = do_POST = do_DELETE = do_PATCH = handle_request  # noqa: N815 - names of the library

    def _send(self, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (own | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self, request: Request) -> None:
        self.close_connection = True
        events = self.server.api.events(request, self.connection)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in events:
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
