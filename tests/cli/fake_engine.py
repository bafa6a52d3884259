"""A small HTTP server on a unix socket that says of itself what a test wants an engine to say."""

from __future__ import annotations

import json
import socketserver
import tempfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answers: Mapping[str, Any]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.answers.get("/" + self.path.rpartition("/")[2])
        body = json.dumps(answer if answer is not None else {"message": "page not found"}).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Api-Version", self.server.answers["/version"]["ApiVersion"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_engine(version: str, api_version: str, *, podman: bool = False, **info: Any) -> Iterator[str]:
    """Serve an engine; gives the value for DOCKER_HOST.

    Args:
        version: Its version.
        api_version: The newest version of the API that it speaks.
        podman: Whether it is Podman.
        info: What `docker info` shows besides.
    """
    component = "Podman Engine" if podman else "Engine"
    answers = {
        "/version": {"Version": version, "ApiVersion": api_version, "Components": [{"Name": component}]},
        "/info": {"Driver": "overlay2", "CgroupVersion": "2", **info},
    }
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder:  # a socket's path must be short
        path = Path(folder, "engine.sock")
        server = _Server(str(path), _Handler)
        server.answers = answers
        with served(server):
            yield f"unix://{path}"
