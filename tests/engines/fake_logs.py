"""Answers what the API server asks a kubelet for when somebody wants the log of a pod."""

import http.server
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.engines.fake_scripts import PodScript
from tests.engines.loopback import LOOPBACK


@dataclass
class PodLog:
    """The log of a pod, whose lines are there as time goes by.

    Args:
        name: The pod's name.
        node: Its node's name.
        script: How many lines, and when.
        started: When the containers started, in seconds since 1970; None while they have not.
        ended: When they ended; None while they have not.
        lost: Whether the node is lost.
    """

    name: str
    node: str
    script: PodScript
    started: float | None = None
    ended: float | None = None
    lost: bool = False

    def lines(self, started: float, *, follow: bool) -> Iterator[tuple[float, str]]:
        """Return the lines, each with its time; with ``follow`` those to come, too, until the end."""
        for number in range(self.script.log_lines):
            written = started + self.script.seconds_of_line(number)
            while not self._is_there(written):
                if not follow or self.ended is not None or self.lost:
                    return
                time.sleep(min(max(written - time.time(), 0.005), 0.2))
            yield written, f"line {number} of {self.name}"
        while follow and self.ended is None and not self.lost:
            time.sleep(0.05)

    def _is_there(self, written: float) -> bool:
        if self.ended is not None and self.script.end == "exit":
            return True  # it has run for its whole time, and all has been written, whatever the clock's last digit says
        return written <= min(time.time(), self.ended or time.time())


@dataclass
class LogServer:
    """One server for all fake nodes, on a port of loopback that the kernel picks.

    Args:
        tls: The directory with the server's certificate.
    """

    tls: Path
    logs: dict[tuple[str, str], PodLog] = field(default_factory=dict)
    """By namespace and name of the pod."""

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"logs": self.logs})
        self._server = _Server((LOOPBACK, 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls / "server.pem", self.tls / "server-key.pem")
        # The handshake is the business of the connection's own thread.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer requests; never returns."""
        self._server.serve_forever()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients go whenever they want."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    logs: ClassVar[dict[tuple[str, str], PodLog]]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        match address.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                self._log(self.logs.get((namespace, pod)), container, query)
            case _:
                self._refuse(404, "fake nodes have only logs")

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def _log(self, log: PodLog | None, container: str, query: dict[str, str]) -> None:
        if log is None:
            self._refuse(404, f'container "{container}" not found')
        elif log.lost:
            self.close_connection = True  # without an answer
        elif log.started is None:
            reason = log.script.waiting or "ContainerCreating"
            self._refuse(400, f'container "{container}" in pod "{log.name}" is waiting to start: {reason}')
        else:
            self._stream(log, log.started, query)

    def _refuse(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _stream(self, log: PodLog, started: float, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for sent, (written, text) in enumerate(_wanted(log, started, query), 1):
            line = f"{_timestamp(written)} {text}\n" if query.get("timestamps") == "true" else f"{text}\n"
            self.wfile.write(f"{len(line):x}\r\n{line}\r\n".encode())
            if sent == log.script.log_cut_after:
                self.close_connection = True
                return
        if log.lost:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def _wanted(log: PodLog, started: float, query: dict[str, str]) -> Iterator[tuple[float, str]]:
    since = 0.0
    if "sinceTime" in query:
        since = datetime.fromisoformat(query["sinceTime"]).timestamp()
    if "sinceSeconds" in query:
        since = time.time() - int(query["sinceSeconds"])
    follow = query.get("follow") == "true"
    skip = 0
    if "tailLines" in query:
        skip = max(0, len(list(log.lines(started, follow=False))) - int(query["tailLines"]))
    for number, (written, text) in enumerate(log.lines(started, follow=follow)):
        if written >= since and number >= skip:
            yield written, text


def _timestamp(seconds: float) -> str:
    whole = datetime.fromtimestamp(seconds, UTC)
    return whole.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
